#!/usr/bin/env bash
# scrim in front of Directus over SQLite: random policies and queries against the oracle, writes, attacks, and its own client.
# Started by `tests/e2e/run directus`, and only where it is named: its packages are large, and some of them are compiled
# (Debian packages: g++ make python3).
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"

packages=$E2E_CACHE/directus
if ! cmp -s "$here/package.json" "$packages/installed.json"; then
    rm -rf "$packages"
    mkdir -p "$packages"
    cp "$here/package.json" "$packages/"
    (cd "$packages" && npm install --no-audit --no-fund --loglevel=error)
    cp "$here/package.json" "$packages/installed.json"
fi
server=$packages/node_modules/.bin/directus
# Its random writes are of the same shape as those of CAP.
export PYTHONPATH=$PYTHONPATH:$here/../cap

port=$(free_port)
E2E_ADMIN_TOKEN=$(openssl rand -hex 24)
export E2E_ADMIN_TOKEN E2E_UPSTREAM=http://127.0.0.1:$port E2E_PACKAGES=$packages E2E_POLICIES=$run/policies
(umask 077 && echo "$E2E_ADMIN_TOKEN" >"$work/crm-token")
client=$here/client.py
mkdir -p "$work/directus/uploads" "$work/directus/extensions"
ln -s "$packages/node_modules" "$work/directus/node_modules"

# Takes the place of the shell that calls it, so that what is started is what is stopped.
directus() {
    cd "$work/directus" || exit
    # Its dates are those of its own time zone.
    export DB_CLIENT=sqlite3 DB_FILENAME=./data.db HOST=127.0.0.1 PORT="$port" TZ=UTC
    export KEY=e2e-key SECRET="$E2E_ADMIN_TOKEN" ADMIN_TOKEN="$E2E_ADMIN_TOKEN"
    export ADMIN_EMAIL=admin@example.com ADMIN_PASSWORD="$E2E_ADMIN_TOKEN"
    export TELEMETRY=false CACHE_ENABLED=false RATE_LIMITER_ENABLED=false PRESSURE_LIMITER_ENABLED=false LOG_LEVEL=warn
    exec "$server" "$1" >>"$work/directus.log" 2>&1
}

(directus bootstrap) || fail "it can't be set up: $(tail -n 5 "$work/directus.log")"
directus start &
upstream_pid=$!
await_upstream Directus "$E2E_UPSTREAM/server/ping" "$work/directus.log" 1200
python3 "$common/data.py" >"$work/original.json"
"$python" "$here/seed.py"
choose_relay
start_relay
prepare_gateway
"$python" "$client" prepare
outcome 'the configuration is sound' "$E2E_BIN" check --config "$run/gateway.yaml" --deny-warnings
start_gateway
echo "Directus at $E2E_UPSTREAM, scrim at $E2E_GATEWAY, seed $E2E_SEED"
"$python" "$client" serving
drain_gateway
residual_rounds
