# What the runs of all upstreams share. Sourced by an upstream's `run.sh`, which `run` starts with E2E_BIN (the gateway),
# E2E_CACHE (where downloads stay) and E2E_FOLDER (the run's own files, new and empty).
#
# It ends what it started by its process id, and nothing else.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
common=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
run=$E2E_FOLDER
work=$run/work
results=$work/results
upstream_pid='' gateway_pid='' relay_pid=''
mkdir -p "$work"
: >"$results"
export E2E_WORK_DIR=$work PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$common
python=$E2E_CACHE/venv/bin/python

fail() {
    echo "e2e: $*" >&2
    exit 1
}

# Ends a child that this script started, if it still runs.
stop() { # signal pid
    if [[ -n $2 ]] && kill -0 "$2" 2>/dev/null; then
        kill "-$1" "$2" 2>/dev/null || true
        wait "$2" 2>/dev/null || true
    fi
}

finish() {
    trap '' INT TERM
    stop KILL "$upstream_pid"
    stop KILL "$relay_pid"
    stop KILL "$gateway_pid"
}
trap finish EXIT
trap 'exit 130' INT TERM

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Waits until the upstream, which is `upstream_pid`, answers.
await_upstream() { # name url log [tenths of a second]
    local left
    for ((left = ${4:-300}; left > 0; left--)); do
        kill -0 "$upstream_pid" 2>/dev/null || fail "$1 ended: $(tail -n 5 "$3")"
        if curl -s --noproxy '*' -o /dev/null --max-time 1 "$2"; then
            return
        fi
        sleep 0.1
    done
    fail "$1 does not answer"
}

# Where the gateway reaches its upstream, so that all that the upstream sends is counted (`relayed`).
choose_relay() {
    relay_port=$(free_port)
    export E2E_RELAY=http://127.0.0.1:$relay_port
}

start_relay() {
    python3 "$common/relay.py" "$relay_port" "${E2E_UPSTREAM##*:}" "$work/relayed" &
    relay_pid=$!
    local left
    for ((left = 100; left > 0; left--)); do
        kill -0 "$relay_pid" 2>/dev/null || fail 'the relay ended'
        if (: <"/dev/tcp/127.0.0.1/$relay_port") 2>/dev/null; then
            return
        fi
        sleep 0.1
    done
    fail 'the relay does not listen'
}

# The gateway's certificate and key, the key of its masks, and its configuration from the upstream's folder.
prepare_gateway() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext keyUsage=critical,digitalSignature,keyCertSign \
        -keyout "$work/gateway.key" -out "$work/gateway.pem" 2>"$work/openssl.log" || fail "$(cat "$work/openssl.log")"
    (umask 077 && openssl rand -hex 32 >"$work/masking-key")
    cp -r "$here/api.yaml" "$here/policies" "$run/"
    sed "s|@UPSTREAM@|${E2E_RELAY:-$E2E_UPSTREAM}|" "$here/gateway.yaml" >"$run/gateway.yaml"
}

# What the gateway says in its log about where it listens; the ports are the system's choice.
logged_address() { # message
    sed -n "/\"message\":\"$1/s/.*\"address\":\"\([^\"]*\)\".*/\1/p" "$work/scrim.log" | head -n 1
}

start_gateway() {
    # There before the child's shell makes it, for whoever reads it first.
    : >"$work/scrim.log"
    "$E2E_BIN" serve --config "$run/gateway.yaml" >"$work/scrim.out" 2>>"$work/scrim.log" &
    gateway_pid=$!
    local admin
    for _ in {1..300}; do
        kill -0 "$gateway_pid" 2>/dev/null || fail "the gateway ended: $(cat "$work/scrim.log")"
        admin=$(logged_address 'admin: ')
        if [[ -n $admin ]] && "$E2E_BIN" health --url "http://$admin/readyz" 2>/dev/null; then
            E2E_GATEWAY="https://$(logged_address 'listening')"
            export E2E_GATEWAY E2E_ADMIN="http://$admin" E2E_GATEWAY_PID=$gateway_pid
            return
        fi
        sleep 0.1
    done
    fail "the gateway does not get ready: $(cat "$work/scrim.log")"
}

outcome() { # name command...
    local name=$1
    shift
    if "$@"; then
        echo "ok $name" >>"$results"
    else
        echo "FAILED $name"
        echo "FAILED $name" >>"$results"
    fi
}

# Conditions for one configuration, which holds about 150 to draw them from.
ROUND=1000

# So many random conditions as there are to be, in rounds with a configuration and a gateway of their own.
residual_rounds() {
    local all=${E2E_RESIDUALS:-1500} first=$E2E_SEED rounds round
    rounds=$(((all + ROUND - 1) / ROUND))
    mkdir "$work/plain"
    cp "$run/api.yaml" "$run/gateway.yaml" "$work/plain/"
    for ((round = 0; round < rounds; round++)); do
        cp "$work/plain/api.yaml" "$work/plain/gateway.yaml" "$run/"
        export E2E_SEED=$((first + round * 1000)) E2E_RESIDUALS=$((all / rounds))
        "$python" "$common/residuals.py" "$E2E_SEED" "$run" "$here/samples.yaml"
        start_gateway
        "$python" "$client" residuals
        drain_gateway
    done
}

drain_gateway() {
    kill -TERM "$gateway_pid"
    outcome 'the gateway drains and ends well' wait "$gateway_pid"
    gateway_pid=''
}
