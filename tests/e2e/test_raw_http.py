"""Bytes that are hardly HTTP, at the real server: it refuses or hangs up, and goes on serving everybody else."""

import os
import random
import re
import socket
import time
from collections.abc import Iterator

import pytest

from tests.helpers.hostile import Victim, victim
from tests.helpers.server import JOBS


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with victim(tmp_path_factory.mktemp("victim")) as found:
        yield found
        assert not found.complaints()


def head(path: bytes = JOBS.encode(), *fields: bytes, method: bytes = b"PUT") -> bytes:
    """A request up to its body."""
    lines = (method + b" " + path + b" HTTP/1.1", b"Host: x", b"Content-Type: application/json", *fields)
    return b"\r\n".join(lines) + b"\r\n\r\n"


CHUNKED = b"Transfer-Encoding: chunked"
REQUESTS = {
    "nothing": b"",
    "zeros": b"\0" * 5000,
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
    "http0.9": b"GET /\r\n",
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no-method": b" / HTTP/1.1\r\n\r\n",
    "odd-method": head(method=b"BREW"),
    "line-of-64k": b"GET /" + b"a" * 65_536 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "no-end-of-line": b"GET /" + b"a" * 300_000,
    "headers-of-1m": head(JOBS.encode(), b"X: " + b"a" * 1_000_000, method=b"GET"),
    "many-headers": head(JOBS.encode(), *[b"X%d: y" % number for number in range(5_000)], method=b"GET"),
    "null-in-path": b"GET /api/v1/\0/jobs HTTP/1.1\r\nHost: x\r\n\r\n",
    "null-in-header": head(JOBS.encode(), b"X-Request-ID: a\0b", method=b"GET"),
    "split-header": head(JOBS.encode(), b"X-Request-ID: a\rSet-Cookie: b", method=b"GET"),
    "percent": head(JOBS.encode() + b"/%", method=b"GET"),
    "percent-bytes": head(JOBS.encode() + b"/%ff%fe%00", method=b"GET"),
    "dots": head(b"/api/v1/orchestrator/../../../../etc/passwd", method=b"GET"),
    "encoded-dots": head(JOBS.encode() + b"/%2e%2e%2f%2e%2e/results/%2e%2e%2f0.tar.gz", method=b"GET"),
    "absolute": head(b"http://169.254.169.254/latest", method=b"GET"),
    "length-of-text": head(JOBS.encode(), b"Content-Length: many"),
    "negative-length": head(JOBS.encode(), b"Content-Length: -1"),
    "two-lengths": head(JOBS.encode(), b"Content-Length: 2", b"Content-Length: 9") + b"{}",
    "huge-length": head(JOBS.encode(), b"Content-Length: 99999999999999999999") + b"{}",
    "length-and-chunks": head(JOBS.encode(), b"Content-Length: 2", CHUNKED) + b"2\r\n{}\r\n0\r\n\r\n",
    "short-body": head(JOBS.encode(), b"Content-Length: 500") + b"{}",
    "bad-chunk": head(JOBS.encode(), CHUNKED) + b"zz\r\n{}\r\n",
    "huge-chunk": head(JOBS.encode(), CHUNKED) + b"ffffffffffffffffff\r\n{}\r\n",
    "endless-chunk-size": head(JOBS.encode(), CHUNKED) + b"0" * 100_000,
    "chunks-of-11m": head(JOBS.encode(), CHUNKED) + (b"100000\r\n" + b" " * 0x100000 + b"\r\n") * 11 + b"0\r\n\r\n",
    "cut-chunk": head(JOBS.encode(), CHUNKED) + b"ff\r\n{}",
    "broken-gzip": head(JOBS.encode(), b"Content-Encoding: gzip", b"Content-Length: 4") + b"\x1f\x8b\x08\x00",
    "expect": head(JOBS.encode(), b"Expect: 200-maybe", b"Content-Length: 2") + b"{}",
    "broken-websocket": head(
        JOBS.encode() + b"/victim/logs", b"Connection: Upgrade", b"Upgrade: websocket", method=b"GET"
    ),
    "odd-websocket-key": head(
        JOBS.encode() + b"/victim/logs?partitions=((",
        *(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: \xff"),
        method=b"GET",
    ),
    "websocket-then-garbage": head(
        JOBS.encode() + b"/victim/logs?partitions=all&follow=true",
        *(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        method=b"GET",
    )
    + b"\xff" * 5000,
    "upgrade-elsewhere": head(JOBS.encode(), b"Connection: Upgrade", b"Upgrade: websocket", method=b"GET"),
    "pipelined": head(b"/livez", method=b"GET") * 200,
}


def statuses(received: bytes) -> list[int]:
    """The statuses of all answers in what was received."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


@pytest.mark.parametrize("name", REQUESTS)
def test_what_is_hardly_http_is_refused(target: Victim, name: str) -> None:
    before = target.stored
    received = target.raw(REQUESTS[name])
    complaints = target.complaints()
    assert all(status < 500 for status in statuses(received)), (received[:500], complaints)
    assert not complaints, received[:500]
    assert b"Traceback" not in received
    assert b"root:" not in received
    assert b"Set-Cookie" not in received
    if name == "pipelined":
        assert statuses(received) == [200] * 200
    assert target.stored == before
    assert target.is_well()


def test_random_bytes_are_refused(target: Victim) -> None:
    chance = random.Random(7)
    whole = head(JOBS.encode(), b"Content-Length: 11") + b'{"Job":{}}\n'
    for _ in range(100):
        sent = bytearray(whole)
        for _ in range(chance.randint(1, 5)):
            sent[chance.randrange(len(sent))] = chance.randrange(256)
        received = target.raw(bytes(sent[: chance.randint(1, len(sent))]), silence=0.02)
        assert all(status < 500 for status in statuses(received)), bytes(sent)
        assert not target.complaints(), bytes(sent)
    assert target.is_well()


def test_those_who_send_slowly_hold_up_nobody(target: Victim) -> None:
    slow = [socket.create_connection(("127.0.0.1", target.port)) for _ in range(200)]
    try:
        for connection in slow:
            connection.sendall(head(JOBS.encode(), b"Content-Length: 1000")[: random.Random(1).randint(1, 80)])
        began = time.monotonic()
        for _ in range(20):
            assert target.is_well()
        assert time.monotonic() - began < 10
    finally:
        for connection in slow:
            connection.close()
    assert target.is_well()
    assert len(os.listdir("/proc/self/fd")) < 200, "what was closed is let go"  # noqa: PTH208 - it counts
