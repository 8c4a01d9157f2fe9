#!/usr/bin/env bash
# The container tests, all of them, with an engine of their own where none is at hand.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=.ci/engine.sh
source .ci/engine.sh
trap stop_engine EXIT
start_engine
make "${@:-test-containers}"
