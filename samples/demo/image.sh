#!/bin/bash
# Makes a Docker image with busybox, unless it is there: image.sh NAME. From this machine's static busybox where it has
# one, else from a registry.
set -euo pipefail
image=$1

if ! docker info >/dev/null 2>&1; then
    echo "no Docker engine answers (or there is no docker command)" >&2
    exit 1
fi
docker image inspect "$image" >/dev/null 2>&1 && exit 0

busybox=$(command -v busybox || true)
if [ -n "$busybox" ] && ! ldd "$busybox" >/dev/null 2>&1; then
    root=$(mktemp --directory)
    trap 'rm -rf "$root"' EXIT
    mkdir -p "$root/bin" "$root/tmp"
    cp "$busybox" "$root/bin/busybox"
    for name in $("$busybox" --list); do
        [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
    done
    tar -C "$root" -c . | docker import - "$image" >/dev/null
elif docker pull --quiet busybox >/dev/null; then
    docker tag busybox "$image"
else
    echo "the image $image needs the Debian package busybox-static, or a registry that has busybox" >&2
    exit 1
fi
