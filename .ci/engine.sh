# To be sourced: a Docker engine for the tests that need one, with a socket and a folder of its own.
# shellcheck shell=bash

# What Debian's packages of the engine, and of a base image without a registry, need to be installed.
install_engine() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        echo "no Docker engine, and none can be started without root on Debian"
        return 1
    fi
    command -v dockerd > /dev/null && command -v debootstrap > /dev/null && return
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install --yes --no-install-recommends docker.io debootstrap; } \
        > "$engine/log" 2>&1 || {
        tail -n 5 "$engine/log"
        echo "no Docker engine, and docker.io cannot be installed"
        return 1
    }
}

# Sets DOCKER_HOST, unless an engine is at hand; without any, prints why and lets the tests skip.
start_engine() {
    docker version > /dev/null 2>&1 && return
    # The path of a socket has to be short.
    engine=$(mktemp -d /tmp/engine.XXXXXX)
    install_engine || return 0
    export DOCKER_HOST="unix://$engine/socket"
    dockerd --host "$DOCKER_HOST" --data-root "$engine/data" --exec-root "$engine/exec" \
        --pidfile "$engine/pid" > "$engine/log" 2>&1 &
    engine_pid=$!
    for _ in $(seq 60); do
        docker version > /dev/null 2>&1 && return
        kill -0 "$engine_pid" 2> /dev/null || break
        sleep 1
    done
    tail -n 5 "$engine/log"
    echo "the Docker engine does not start here"
}

# Everything that start_engine made goes, images too.
stop_engine() {
    if [ -n "${engine_pid:-}" ] && kill "$engine_pid" 2> /dev/null; then
        wait "$engine_pid" || true
    fi
    rm -rf "${engine:-}"
}
