#!/usr/bin/env bash
# scrim in front of json-server, an API that nobody here wrote: what people see, what attackers get, and what happens when
# the upstream dies. Started by `tests/e2e/run`.
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"

JSON_SERVER=0.17.4
packages=$E2E_CACHE/json-server
if [[ ! -f $packages/node_modules/json-server/package.json ]]; then
    mkdir -p "$packages"
    echo '{ "private": true }' >"$packages/package.json"
    (cd "$packages" && npm install --no-audit --no-fund --loglevel=error "json-server@$JSON_SERVER")
fi

start_upstream() {
    cp "$work/original.json" "$work/db.json"
    (cd "$work" && exec node "$packages/node_modules/json-server/lib/cli/bin.js" \
        --host 127.0.0.1 --port "$port" --quiet db.json) >>"$work/json-server.log" 2>&1 &
    upstream_pid=$!
    await_upstream json-server "$E2E_UPSTREAM/users" "$work/json-server.log"
}

port=$(free_port)
export E2E_UPSTREAM=http://127.0.0.1:$port
client=$here/client.py
# Not the notes: it can't delete anything beside a record whose key of another one is null.
python3 "$common/data.py" users accounts contacts deals activities >"$work/original.json"
prepare_gateway
"$python" "$client" prepare
outcome 'the configuration is sound' "$E2E_BIN" check --config "$run/gateway.yaml" --deny-warnings
start_upstream
start_gateway
echo "json-server $JSON_SERVER at $E2E_UPSTREAM, scrim at $E2E_GATEWAY"
"$python" "$client" serving
kill -STOP "$upstream_pid"
"$python" "$client" stalled
stop KILL "$upstream_pid"
"$python" "$client" gone
start_upstream
"$python" "$client" back
drain_gateway
