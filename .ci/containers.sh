#!/usr/bin/env bash
# The container tests, with an engine of their own where none is at hand and one may be started.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! docker version > /dev/null 2>&1; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        echo "container tests skipped: no Docker engine, and none can be started without root on Debian"
        exit 0
    fi
    if ! { command -v dockerd && command -v debootstrap; } > /dev/null; then
        { apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
            apt-get -qq install --yes --no-install-recommends docker.io debootstrap; } \
            > "${TMPDIR:-/tmp}/apt.log" 2>&1 || {
            tail -n 5 "${TMPDIR:-/tmp}/apt.log"
            echo "container tests skipped: no Docker engine, and it cannot be installed"
            exit 0
        }
    fi
    # Everything of the engine in one folder that goes with it. The path of a socket has to be short.
    engine=$(mktemp -d /tmp/engine.XXXXXX)
    export DOCKER_HOST="unix://$engine/socket"
    dockerd --host "$DOCKER_HOST" --data-root "$engine/data" --exec-root "$engine/exec" \
        --pidfile "$engine/pid" > "$engine/log" 2>&1 &
    daemon=$!
    trap 'kill "$daemon" && wait "$daemon" || true; rm -rf "$engine"' EXIT
    for _ in $(seq 60); do
        [ -S "$engine/socket" ] && docker version > /dev/null 2>&1 && break
        kill -0 "$daemon" 2> /dev/null || {
            tail -n 5 "$engine/log"
            echo "container tests skipped: the Docker engine does not start here"
            trap - EXIT
            rm -rf "$engine"
            exit 0
        }
        sleep 1
    done
fi
make test-containers
