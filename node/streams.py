"""The output of one execution: its two files, when which byte had been seen, and how much of it is stored elsewhere."""

import asyncio
import codecs
from pathlib import Path

import msgspec

from orchestrator.contract.agent import LogMark, LogTail, Stream

TAIL_BYTES = 16 << 10
"""The last piece of a stream, which goes with the report of the end."""
KEPT_BYTES = 64 << 20
"""No more than this of a stream that is not stored yet is shipped: its end."""
HEAD_BYTES = 2048
"""What `RunOutput` holds of a stream: its beginning."""
LINE_LENGTH = 500
"""Characters of the last line that become the message of a failure."""
MOST_MARKS = 500
decoder = codecs.getincrementaldecoder("utf-8")


class StreamLog(msgspec.Struct, kw_only=True, eq=False):
    """One stream: what was seen of it, and what is acknowledged."""

    stream: Stream
    path: Path
    size: int = 0
    acknowledged: int = 0
    """Everything below is stored, or was cut off."""
    is_truncated: bool = False
    is_refused: bool = False
    """Nobody takes it any more."""
    marks: list[LogMark] = []
    waiting_since: float | None = None
    """Seconds since the engine's start at which the oldest byte that is not stored was seen."""
    last: bytes | None = None

    def look(self, at: float) -> None:
        """See how long it is now, `at` seconds after the start of the engine."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return
        if size > self.size:
            self.size = size
            self.marks.append(LogMark(offset=size, at=round(at, 3)))
            if len(self.marks) > MOST_MARKS:
                self.marks = self.marks[1::2]
            if self.waiting_since is None:
                self.waiting_since = at

    @property
    def waiting(self) -> int:
        """Bytes that were seen and are not stored."""
        return self.size - self.acknowledged

    def skip(self, end: int) -> bool:
        """Leave out what is too much to be shipped before `end`; whether something was left out."""
        if end - self.acknowledged <= KEPT_BYTES:
            return False
        self.acknowledged = end - KEPT_BYTES
        self.is_truncated = True
        return True

    def piece(self, begin: int, end: int) -> bytes:
        """Bytes of the file. Blocks."""
        with self.path.open("rb") as reader:
            reader.seek(begin)
            return reader.read(end - begin)

    def marks_of(self, begin: int, end: int) -> tuple[LogMark, ...]:
        """The marks that say when the bytes from `begin` to `end` had been seen: the first at or above `end` included."""
        found: list[LogMark] = []
        for mark in self.marks:
            if mark.offset > begin:
                found.append(mark)
                if mark.offset >= end:
                    break
        return tuple(found)

    def acknowledge(self, upto: int) -> None:
        """All bytes below `upto` are stored."""
        self.acknowledged = upto
        self.marks = [mark for mark in self.marks if mark.offset > upto]
        self.waiting_since = self.marks[0].at if self.marks else None

    def tail(self) -> LogTail | None:
        """The last piece that is not stored, at most `TAIL_BYTES`; None when there is none."""
        begin = max(self.acknowledged, self.size - TAIL_BYTES)
        if begin >= self.size:
            return None
        content = self._last_bytes()[begin - self.size :]
        return LogTail(stream=self.stream, offset=begin, content=content, marks=self.marks_of(begin, self.size))

    def head(self) -> tuple[str, bool]:
        """The first 2 KiB as text, and whether there was more."""
        if not self.size:
            return "", False
        content = self._last_bytes() if self.size <= TAIL_BYTES else self.piece(0, HEAD_BYTES)
        is_cut = self.size > HEAD_BYTES
        return decoder("replace").decode(content[:HEAD_BYTES], final=not is_cut), is_cut

    def last_line(self) -> str:
        """The last line that is not blank, printable, at most 500 characters; empty when there is none."""
        if not self.size:
            return ""
        for line in reversed(self._last_bytes().decode(errors="replace").splitlines()):
            stripped = line.strip()
            if stripped:
                return printable(stripped)[:LINE_LENGTH]
        return ""

    def _last_bytes(self) -> bytes:
        """The last `TAIL_BYTES` of a stream that does not grow any more, read once."""
        if self.last is None:
            self.last = self.piece(max(0, self.size - TAIL_BYTES), self.size)
        return self.last


class Output(msgspec.Struct, kw_only=True, eq=False):
    """Both streams of an execution."""

    out: StreamLog
    err: StreamLog
    shipping: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)
    """Held by whoever ships, so that nobody else does."""
    retry_at: float = 0.0
    """Seconds since the engine's start before which shipping is not tried again."""

    @classmethod
    def at(cls, stdout: Path, stderr: Path) -> "Output":
        """The output that goes to these files, nothing of it stored."""
        return cls(
            out=StreamLog(stream=Stream.OUT, path=stdout, marks=[]),
            err=StreamLog(stream=Stream.ERR, path=stderr, marks=[]),
        )

    @property
    def streams(self) -> tuple[StreamLog, StreamLog]:
        """Both, stdout first."""
        return (self.out, self.err)

    def look(self, at: float) -> None:
        """See how long they are now, `at` seconds after the start of the engine."""
        self.out.look(at)
        self.err.look(at)

    @property
    def has_rest(self) -> bool:
        """Whether there is more to store than what goes with the report of the end."""
        return any(one.waiting > TAIL_BYTES for one in self.streams)

    def tails(self) -> tuple[LogTail, ...]:
        """The last pieces that are not stored."""
        return tuple(tail for one in self.streams if (tail := one.tail()) is not None)

    @property
    def is_truncated(self) -> bool:
        """Whether a part of the log will never be stored."""
        return any(one.is_truncated for one in self.streams)


def printable(text: str) -> str:
    """`text` with every control character as an escape, so that it can do nothing to a terminal."""
    return "".join(c if c.isprintable() or c == " " else c.encode("unicode_escape").decode() for c in text)
