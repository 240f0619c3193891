#!/bin/bash
# Runs a command with a Docker engine: with-docker.sh COMMAND... Where none answers at the usual socket (or at
# DOCKER_HOST), one is started there, with data of its own, and stopped at the end, however the command ends.
set -euo pipefail

answers() { curl --silent --fail --max-time 5 --unix-socket "${1#unix://}" http://docker/_ping >/dev/null 2>&1; }

socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
if answers "$socket"; then
    exec "$@"
fi
if [ "$(id -u)" != 0 ]; then
    echo "no Docker engine answers at $socket, and only root may start one" >&2
    exit 1
fi
mountpoint --quiet /sys/fs/cgroup || cgroupfs-mount

home=$(mktemp --directory /var/tmp/shoal-docker.XXXXXX)
dockerd --host "$socket" --data-root "$home/data" --exec-root "$home/exec" --pidfile "$home/pid" \
    >"$home/log" 2>&1 &
engine=$!

stop() {
    kill "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
    for place in $(awk -v home="$home/" 'index($2, home) == 1 {print $2}' /proc/mounts); do
        umount "$place" 2>/dev/null || true
    done
    rm -rf "$home"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

deadline=$((SECONDS + 60))
until answers "$socket"; do
    if ! kill -0 "$engine" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
        echo "dockerd did not start; its last words:" >&2
        tail --lines 20 "$home/log" >&2
        exit 1
    fi
    sleep 0.2
done
"$@"
