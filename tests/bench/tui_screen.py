"""The terminal UI on a real pty, against a pretended orchestrator: python -m tests.bench.tui_screen [RUN ...]

A job of 100,000 partitions with 5,000 changes a second; a log of 1,000,000 lines. The last line is JSON.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tests.bench.tui_pty import Terminal
from tests.helpers.processes import free_port

SECONDS = 8.0
PARTITIONS, CHANGES, LINES = 100_000, 5_000, 1_000_000
LATENCIES = 40
SLOW = 20_000
"""Bytes a second of the slow link."""


@contextmanager
def server(shape: str, *, changes: int = CHANGES, lines: int = 0) -> Iterator[int]:
    """A pretended orchestrator; gives its port."""
    port = free_port()
    argv = [sys.executable, "-m", "tests.bench.tui_server", str(port), str(PARTITIONS), str(changes), shape, str(lines)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield port
    finally:
        process.kill()
        process.wait()


@contextmanager
def opened(port: int, job: str = "some-job", speed: float = 0) -> Iterator[Terminal]:
    """The app, on the job."""
    argv = [sys.executable, "-m", "tui", "tui", *([job] if job else []), "--api-port", str(port)]
    terminal = Terminal(argv, {"TEXTUAL_ANIMATIONS": "none"}, speed=speed)
    try:
        yield terminal
    finally:
        terminal.close()


def whole_screen(shape: str) -> dict[str, float]:
    """Frames, CPU and memory of the Job screen while partitions change."""
    with server(shape) as port, opened(port) as terminal:
        terminal.until(b"100,000 partitions", 60)
        started = time.monotonic() - terminal.began
        terminal.read(3)
        cpu, frames, sent, begun = terminal.cpu(), terminal.frames, terminal.bytes, time.monotonic()
        terminal.read(SECONDS)
        passed = time.monotonic() - begun
        found = {
            "frames_per_s": round((terminal.frames - frames) / passed, 1),
            "cpu_percent": round(100 * (terminal.cpu() - cpu) / passed, 1),
            "kb_per_s": round((terminal.bytes - sent) / passed / 1000, 1),
            "rss_mb": round(terminal.memory(), 1),
            "start_s": round(started, 2),
        }
        return found | keys(terminal)


def keys(terminal: Terminal, number: int = LATENCIES, rest: float = 0.05) -> dict[str, float]:
    """How long it takes from a key to what it does, with `rest` seconds between them."""
    waits = []
    for turn in range(number):
        key, word = ((b"2", b"lens attempts"), (b"1", b"lens state"))[turn % 2]
        terminal.press(key)
        waits.append(terminal.until(word, 20))
        terminal.read(rest)
    waits.sort()
    return {"key_p50_ms": round(1000 * statistics.median(waits), 1), "key_p99_ms": round(1000 * waits[-1], 1)}


def slow_link(shape: str) -> dict[str, float]:
    """The Job screen behind 20 KB/s and a buffer of 2 MB."""
    with server(shape) as port, opened(port, speed=SLOW) as terminal:
        terminal.until(b"100,000 partitions", 60)
        terminal.read(5)
        frames, sent, begun = terminal.frames, terminal.bytes, time.monotonic()
        terminal.read(SECONDS)
        passed = time.monotonic() - begun
        return {
            "frames_per_s": round((terminal.frames - frames) / passed, 1),
            "kb_per_s": round((terminal.bytes - sent) / passed / 1000, 1),
        } | keys(terminal, 20, 1.0)


def opening() -> dict[str, float]:
    """From Enter on a job of 100,000 partitions to its grid, several times."""
    with server("front", changes=0) as port, opened(port, "") as terminal:
        terminal.until(b"bench-job", 60)
        waits = []
        for _ in range(10):
            terminal.read(1)
            terminal.press(b"\r")
            waits.append(terminal.until(b"100,000 partitions", 30))
            terminal.read(1)
            terminal.press(b"q")
        waits.sort()
        return {"open_p50_s": round(statistics.median(waits), 3), "open_max_s": round(waits[-1], 3)}


def long_log() -> dict[str, float]:
    """Opening a million lines at their end, having all of them, searching and holding them."""
    with server("front", changes=0, lines=LINES) as port, opened(port) as terminal:
        terminal.until(b"100,000 partitions", 60)
        terminal.read(2)
        before, cpu = terminal.memory(), terminal.cpu()
        terminal.press(b"l")
        begun = time.monotonic()
        first = terminal.until(b"INFO step", 60)
        terminal.until(b"1,000,000 lines", 60)
        opening, cpu = time.monotonic() - begun, terminal.cpu() - cpu
        terminal.read(1)
        terminal.press(b"/haystack")
        terminal.read(0.5)
        terminal.press(b"\r")
        searching = terminal.until(b"1/1 matches", 30)
        memory = terminal.memory()
        return {
            "open_s": round(first, 2),
            "whole_s": round(opening, 2),
            "whole_cpu_s": round(cpu, 2),
            "search_s": round(searching, 2),
            "rss_mb": round(memory, 1),
            "rss_before_mb": round(before, 1),
        }


RUNS: Mapping[str, Callable[[], dict[str, float]]] = {
    "open": opening,
    "front": lambda: whole_screen("front"),
    "random": lambda: whole_screen("random"),
    "slow": lambda: slow_link("front"),
    "slow-random": lambda: slow_link("random"),
    "log": long_log,
}


def main() -> int:
    """Measure what was named, or all; print."""
    found = {}
    for name in sys.argv[1:] or RUNS:
        found[name] = RUNS[name]()
        sys.stdout.write(f"{name:<12} {found[name]}\n")
        sys.stdout.flush()
    load = os.getloadavg()[0]
    sys.stdout.write(json.dumps({**found, "load": round(load, 1)}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
