"""A program on a real pseudo-terminal: what it writes, what it costs, how soon it answers a key."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

FRAME = b"\x1b[?2026h"
"""How Textual begins a picture, on terminals that say they can have it whole."""
QUESTIONS = ((b"\x1b[?2026$p", b"\x1b[?2026;1$y"), (b"\x1b[6n", b"\x1b[1;2R"))
"""What a terminal is asked, and what it answers when it has got there."""
TAIL = 7
BUFFER = 2_000_000
"""Bytes that lie between the program and a slow terminal, as with ssh."""


class Terminal:
    """Starts the program; reads all it writes. Times in seconds, memory in MB."""

    def __init__(
        self, argv: Sequence[str], environ: Mapping[str, str], size: tuple[int, int] = (120, 40), speed: float = 0
    ) -> None:
        """`speed`: bytes a second that get through, 0 = all at once."""
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        settings = {**inherited, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environ}
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=settings, start_new_session=True
        )
        os.close(slave)
        self.bytes = 0
        self.frames = 0
        self._tail = b""
        self._speed = speed
        self._queue = b""
        self._passed = self.began

    def read(self, seconds: float) -> bytes:
        """All that comes within so many seconds."""
        until, found = time.monotonic() + seconds, b""
        while (rest := until - time.monotonic()) > 0:
            found += self._some(rest)
        return found

    def until(self, text: bytes, seconds: float = 30.0) -> float:
        """Seconds until it wrote `text`, control sequences between its letters left out."""
        begun, seen = time.monotonic(), b""
        while text not in seen:
            assert time.monotonic() - begun < seconds, f"never wrote {text!r}: ... {seen[-600:]!r}"
            seen = (seen + self._some(0.05))[-400_000:]
        return time.monotonic() - begun

    def _some(self, seconds: float) -> bytes:
        wait = min(seconds, 0.02) if self._speed else seconds
        ready, _, _ = select.select([self.master] if len(self._queue) < BUFFER else [], [], [], wait)
        content = os.read(self.master, 65536) if ready else b""
        if self._speed:
            content = self._through(content)
        self.bytes += len(content)
        joined = self._tail + content
        self.frames += joined.count(FRAME)
        for question, answer in QUESTIONS:
            for _ in range(joined.count(question) - self._tail.count(question)):
                os.write(self.master, answer)
        self._tail = joined[-TAIL:]
        return content

    def _through(self, content: bytes) -> bytes:
        """What gets through by now, of what was written."""
        now = time.monotonic()
        self._queue += content
        number = min(len(self._queue), int((now - self._passed) * self._speed))
        self._passed = now if number == len(self._queue) else self._passed + number / self._speed
        passed, self._queue = self._queue[:number], self._queue[number:]
        return passed

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self.master, keys)

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Resident memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1000

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        os.close(self.master)
