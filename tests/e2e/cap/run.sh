#!/usr/bin/env bash
# scrim in front of SAP CAP, an OData V4 service: random lists and writes against the rows, attacks, and clients that know
# nothing of the gateway. Started by `tests/e2e/run`.
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"

packages=$E2E_CACHE/cap
if ! cmp -s "$here/service/package.json" "$packages/installed.json"; then
    rm -rf "$packages"
    mkdir -p "$packages"
    cp "$here/service/package.json" "$packages/"
    (cd "$packages" && npm install --no-audit --no-fund --loglevel=error)
    cp "$here/service/package.json" "$packages/installed.json"
fi
node=$packages/node_modules/node/bin/node

start_upstream() {
    (cd "$work/service" && PORT=$port exec "$node" --disable-warning=ExperimentalWarning serve.js) >>"$work/cap.log" 2>&1 &
    upstream_pid=$!
    await_upstream CAP "$E2E_UPSTREAM/odata/v4/crm/users" "$work/cap.log"
    start_relay
}

port=$(free_port)
export E2E_UPSTREAM=http://127.0.0.1:$port E2E_NODE=$node E2E_PACKAGES=$packages/node_modules E2E_POLICIES=$run/policies
client=$here/client.py
python3 "$common/data.py" users accounts contacts deals activities >"$work/original.json"
cp -r "$here/service" "$work/"
ln -s "$packages/node_modules" "$work/service/node_modules"
PYTHONPATH=$common:$here python3 "$here/seed.py" "$work/original.json" "$work/service/db/data"
choose_relay
prepare_gateway
"$python" "$client" prepare
outcome 'the configuration is sound' "$E2E_BIN" check --config "$run/gateway.yaml" --deny-warnings
start_upstream
start_gateway
echo "CAP at $E2E_UPSTREAM, scrim at $E2E_GATEWAY, seed $E2E_SEED"
"$python" "$client" serving
stop KILL "$upstream_pid"
stop KILL "$relay_pid"
"$python" "$client" gone
drain_gateway
start_upstream
residual_rounds
