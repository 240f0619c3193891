#!/bin/bash
# Requests by the thousand from our own OpenAPI document, against an orchestrator that is started for them: fuzz.sh [SECONDS].
# Fails on a 5xx, an undocumented status or type, or an answer that its schema does not allow. Streams without end are left out.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-20}
home=build/fuzz
if [ ! -f $home/installed ]; then
    mkdir -p build
    rm -rf $home
    "$(sh tests/tools/find-python.sh)" -m venv $home
    $home/bin/python -m pip install --quiet --disable-pip-version-check 'schemathesis>=4.32,<5'
    touch $home/installed
fi
data=$(mktemp --directory)
port=$(.venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
.venv/bin/python -m orchestrator --port "$port" --data-dir "$data" >"$data/log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$data"' EXIT
for _ in $(seq 100); do
    curl --silent --fail "http://127.0.0.1:$port/readyz" >/dev/null && break
    sleep 0.1
done
curl --silent --fail -o /dev/null -X PUT -H 'Content-Type: application/json' "http://127.0.0.1:$port/api/v1/orchestrator/jobs" -d \
    '{"Job": {"Name": "fuzz", "Type": "batch", "Count": 9, "Tasks": [{"Name": "main", "Engine": {"Type": "process", "Params": {"Command": "true"}}}]}}'
printf '[parameters]\n"path.job_id" = "fuzz"\n"path.index" = 3\n' >"$data/schemathesis.toml"
$home/bin/schemathesis --config-file "$data/schemathesis.toml" run "http://127.0.0.1:$port/schema" --url "http://127.0.0.1:$port" --phases fuzzing --no-color \
    --max-time "$seconds" --request-timeout 10 --exclude-path-regex 'watch|orchestrator/events' --warnings off \
    --checks not_a_server_error,response_schema_conformance,status_code_conformance,content_type_conformance
! grep request_failed "$data/log"
