"""The terminal UI on a real pty, against a pretended orchestrator: python -m tests.bench.tui_screen

A job of 100,000 partitions with 5,000 changes a second; a log of 1,000,000 lines. The last line is JSON.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.tui_pty import Terminal
from tests.helpers.processes import free_port

SECONDS = 8.0
PARTITIONS, CHANGES, LINES = 100_000, 5_000, 1_000_000
LATENCIES = 40


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
def opened(port: int) -> Iterator[Terminal]:
    """The app, on the job."""
    argv = [sys.executable, "-m", "tui", "tui", "some-job", "--api-port", str(port)]
    terminal = Terminal(argv, {"TEXTUAL_ANIMATIONS": "none"})
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
        waits = []
        for turn in range(LATENCIES):
            key, word = ((b"2", b"lens attempts"), (b"1", b"lens state"))[turn % 2]
            terminal.press(key)
            waits.append(terminal.until(word, 10))
            terminal.read(0.05)
        waits.sort()
        found["key_p50_ms"] = round(1000 * statistics.median(waits), 1)
        found["key_p99_ms"] = round(1000 * waits[-1], 1)
        return found


def long_log() -> dict[str, float]:
    """Opening, searching and holding a million lines."""
    with server("front", changes=0, lines=LINES) as port, opened(port) as terminal:
        terminal.until(b"100,000 partitions", 60)
        terminal.read(2)
        before = terminal.memory()
        terminal.press(b"l")
        begun = time.monotonic()
        first = terminal.until(b"INFO step", 60)
        terminal.until(b"1,000,000 lines", 60)
        opening = time.monotonic() - begun
        terminal.read(1)
        terminal.press(b"/haystack")
        terminal.read(0.5)
        terminal.press(b"\r")
        searching = terminal.until(b"1/1 matches", 30)
        memory = terminal.memory()
        return {
            "first_lines_s": round(first, 2),
            "open_s": round(opening, 2),
            "search_s": round(searching, 2),
            "rss_mb": round(memory, 1),
            "rss_before_mb": round(before, 1),
        }


def main() -> int:
    """Measure, print."""
    found = {"front": whole_screen("front"), "random": whole_screen("random"), "log": long_log()}
    for name, figures in found.items():
        sys.stdout.write(f"{name:<8} {figures}\n")
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
