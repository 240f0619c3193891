"""One view of a stream's log, wherever its bytes lie: what was shipped, with its holes, and the tail that came with the end."""

from bisect import bisect_left, bisect_right
from collections import deque

import msgspec

from orchestrator.contract.agent import LogTail, Stream
from orchestrator.logfile import Hole, LogFile, Mark

BLOCK = 64 << 10
"""Bytes read at a time for lines; a longer line comes in pieces."""


class Line(msgspec.Struct, frozen=True):
    """A line, or a piece of one that is too long or cut. `at` = seconds since the engine's start, None = not known."""

    stream: Stream
    offset: int
    content: bytes
    at: float | None


class StreamView:
    """What is known of one stream. `refresh` and `read` block, and raise OSError."""

    def __init__(self, file: LogFile, stream: Stream) -> None:
        self._file = file
        self._stream = stream
        self._stored = 0
        self._holes: list[tuple[int, int]] = []
        self._tail = LogTail(stream=stream, offset=0, content=b"")
        self._offsets: list[int] = []
        self._ages: list[float] = []

    def note(self, notes: list[Mark | Hole]) -> None:
        """Take in what was noted."""
        for note in notes:
            if note.stream is not self._stream:
                continue
            if isinstance(note, Hole):
                self._holes.append((note.begin, note.end))
            else:
                self._mark(note.offset, note.at)

    def refresh(self) -> None:
        """See how much is stored now."""
        self._stored = self._file.size(self._stream)

    def end(self, tail: LogTail) -> None:
        """Take in the tail that came with the end; a second time changes nothing."""
        self._tail = tail
        for mark in tail.marks:
            self._mark(mark.offset, mark.at)

    @property
    def size(self) -> int:
        """Bytes of the stream known so far, cut ones included."""
        return max(self._stored, self._tail.offset + len(self._tail.content))

    @property
    def first(self) -> int:
        """Offset of the first byte that can be read."""
        segments = self.segments()
        return segments[0][0] if segments else self.size

    def segments(self) -> list[tuple[int, int]]:
        """What can be read, as ranges of offsets, ascending; what touches is one."""
        found: list[tuple[int, int]] = []
        begin = 0
        for hole_begin, hole_end in sorted(self._holes):
            if begin < min(hole_begin, self._stored):
                found.append((begin, min(hole_begin, self._stored)))
            begin = max(begin, hole_end)
        if begin < self._stored:
            found.append((begin, self._stored))
        tail_begin = max(self._stored, self._tail.offset)
        if tail_begin < self.size:
            if found and found[-1][1] == tail_begin:
                tail_begin = found.pop()[0]
            found.append((tail_begin, self.size))
        return found

    def read(self, offset: int, limit: int) -> tuple[int, bytes]:
        """At most `limit` bytes from `offset` on, or from the next byte that can be read, and where they begin."""
        for begin, end in self.segments():
            if end > offset:
                first = max(begin, offset)
                return first, self._bytes(first, min(end, first + limit))
        return offset, b""

    def at(self, end: int) -> float | None:
        """When all bytes below `end` had been seen: seconds since the engine's start."""
        place = bisect_left(self._offsets, end)
        return self._ages[place] if place < len(self._ages) else None

    def marks(self, begin: int, end: int) -> list[tuple[int, float]]:
        """The marks that tell the times of the bytes from `begin` up to `end`."""
        first = bisect_right(self._offsets, begin)
        last = bisect_left(self._offsets, end) + 1
        return list(zip(self._offsets[first:last], self._ages[first:last], strict=True)) if begin < end else []

    def _bytes(self, begin: int, end: int) -> bytes:
        content = self._file.read(self._stream, begin, min(end, self._stored)) if begin < self._stored else b""
        if end > self._stored:
            start = max(begin, self._stored) - self._tail.offset
            content += self._tail.content[start : end - self._tail.offset]
        return content

    def _mark(self, offset: int, at: float) -> None:
        place = bisect_left(self._offsets, offset)
        if place == len(self._offsets) or self._offsets[place] != offset:
            self._offsets.insert(place, offset)
            self._ages.insert(place, at)


class LineReader:
    """The lines of one view, from an offset on, as far as they are known."""

    def __init__(self, view: StreamView, stream: Stream, offset: int) -> None:
        self._view = view
        self._stream = stream
        self._position = offset
        self._rest = b""
        self.lines: deque[Line] = deque()

    @property
    def has_more(self) -> bool:
        """Whether `fill` would find bytes."""
        return self._position < self._view.size

    def fill(self) -> None:
        """Read a block and cut it into `lines`. Blocks."""
        begin, content = self._view.read(self._position, BLOCK)
        if begin > self._position:
            self.flush()
        if not content:
            self._position = self._view.size
            return
        self._position = begin + len(content)
        offset = begin - len(self._rest)
        *whole, self._rest = (self._rest + content).split(b"\n")
        for line in whole:
            self._add(offset, line + b"\n")
            offset += len(line) + 1
        if len(self._rest) >= BLOCK:
            self.flush()

    def flush(self) -> None:
        """Take the bytes after the last line end as a line: nothing will follow them."""
        if self._rest:
            self._add(self._position - len(self._rest), self._rest)
            self._rest = b""

    def _add(self, offset: int, content: bytes) -> None:
        self.lines.append(Line(self._stream, offset, content, self._view.at(offset + len(content))))
