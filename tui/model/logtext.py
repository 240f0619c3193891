"""The text of a log: a million lines as a few blocks of bytes with the ends of their lines. Nothing is decoded until it is seen.

Blocks are never changed, only added or replaced, so that a thread may search a snapshot of them while the log grows.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

import msgspec
from rich.cells import cell_len

from tui.model.ansi import LONGEST as LONGEST_LINE
from tui.model.ansi import shown

SMALL = 256 << 10
"""Bytes up to which the last block is made longer instead of a new one being added."""
TROUBLE = (b"error", b"exception", b"traceback", b"fatal", b"panic", b"killed")
LOOKED_THROUGH = 16 << 20
"""Bytes at the end that are searched for trouble when a log is opened."""
STRETCH = 256 << 10
"""Bytes that are looked at at a time, from the end."""
LONGEST = max(map(len, TROUBLE)) - 1
CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]")
NEWLINE = re.compile(rb"\n")
META = re.compile(rb"[\\.^$*+?{}\[\]|()]")
OUT, ERR, NOTE = 0, 1, 2
"""Streams; a note is a line of ours between those of the log."""


class Mark(msgspec.Struct, frozen=True):
    """From `line` of a block on: the stream, and the time (seconds since 1970, 0 = not known)."""

    line: int
    stream: int
    time: float


class Block:
    """Whole lines. Where they end is found out when somebody looks: opening a log only counts them."""

    def __init__(self, first: int, text: bytes, lines: int, marks: tuple[Mark, ...]) -> None:
        self.first = first
        """Number of its first line in the log."""
        self.text = text
        self.lines = lines
        self.marks = marks
        self._ends: array[int] | None = None

    @property
    def ends(self) -> "array[int]":
        """`ends[i]` is where line i's newline stands."""
        if self._ends is None:
            self._ends = newlines(self.text)
        return self._ends

    def moved(self, lines: int) -> "Block":
        """The same, with so many lines more before it."""
        block = Block(self.first + lines, self.text, self.lines, self.marks)
        block._ends = self._ends
        return block

    def start(self, line: int) -> int:
        """Where a line of the block begins."""
        return self.ends[line - 1] + 1 if line else 0


class Line(msgspec.Struct, frozen=True):
    """One line, without its newline."""

    content: bytes
    stream: int
    time: float


class LogText:
    """Grows at its end. Lines are numbered from 0 in the order in which they arrived."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.count = 0
        self.size = 0
        """Bytes that arrived, those of unfinished lines included."""
        self.latest = 0.0
        """The latest time that is known."""
        self.dropped = 0
        """Bytes that are known to be missing."""
        self._firsts: list[int] = []
        self._rest: dict[int, bytes] = {}

    def append(self, stream: int, content: bytes, time: float = 0.0) -> int:
        """Add what a stream wrote; returns how many lines became whole by it."""
        self.size += len(content)
        data = self._rest.get(stream, b"") + content
        cut = data.rfind(b"\n") + 1
        self._rest[stream] = data[cut:]
        return self._add(stream, data[:cut], time) if cut else 0

    def finish(self) -> int:
        """The log is complete: what has no newline at its end is a line, too."""
        rest, self._rest = self._rest, {}
        return sum(self._add(stream, data + b"\n", self.latest) for stream, data in rest.items() if data)

    def note(self, text: str) -> None:
        """A line of ours."""
        self._add(NOTE, text.encode() + b"\n", self.latest)

    def cut(self, size: int, text: str) -> None:
        """Say that so many bytes are missing here."""
        self.dropped += size
        self.note(f"cut: {text}")

    def put_before(self, head: "LogText") -> None:
        """Put another text before this one: every line of it gets a number that is higher by `head.count`."""
        moved = [block.moved(head.count) for block in self.blocks]
        self.blocks = [*head.blocks, *moved]
        self._firsts = [block.first for block in self.blocks]
        self.count += head.count
        self.size += head.size
        self.dropped += head.dropped

    def _add(self, stream: int, text: bytes, time: float) -> int:
        self.latest = max(self.latest, time)
        last = self.blocks[-1] if self.blocks else None
        lines = text.count(b"\n")
        if last is not None and len(last.text) + len(text) <= SMALL:
            previous = last.marks[-1]
            is_same = (previous.stream, previous.time) == (stream, time)
            marks = last.marks if is_same else (*last.marks, Mark(last.lines, stream, time))
            self.blocks[-1] = Block(last.first, last.text + text, last.lines + lines, marks)
        else:
            self.blocks.append(Block(self.count, text, lines, (Mark(0, stream, time),)))
            self._firsts.append(self.count)
        self.count += lines
        return lines

    def line(self, number: int) -> Line:
        """One line."""
        block = self.blocks[bisect_right(self._firsts, number) - 1]
        at = number - block.first
        mark = block.marks[bisect_right(block.marks, at, key=lambda mark: mark.line) - 1]
        return Line(block.text[block.start(at) : block.ends[at]], mark.stream, mark.time)

    def last_trouble(self) -> int | None:
        """The last line near the end that reads like an error; None = there is none."""
        looked = 0
        for block in reversed(self.blocks):
            upto = len(block.text)
            while upto > 0:
                begin = max(0, upto - STRETCH)
                stretch = block.text[begin : upto + LONGEST].lower()
                found = max(stretch.rfind(word) for word in TROUBLE)
                if found >= 0:
                    return block.first + bisect_left(block.ends, begin + found)
                upto = begin
            looked += len(block.text)
            if looked > LOOKED_THROUGH:
                break
        return None


def newlines(text: bytes) -> "array[int]":
    """Where the newlines are."""
    return array("I", [match.start() for match in NEWLINE.finditer(text)])


def compiled(text: str) -> re.Pattern[bytes]:
    """The regular expression of a search. Raises ValueError that says what is wrong with it."""
    try:
        return re.compile(text.encode(), re.MULTILINE)
    except re.error as error:
        message = f"search: {text!r} is no regular expression: {error}"
        raise ValueError(message) from error


def search(blocks: Sequence[Block], text: str) -> "array[int]":
    """Numbers of the lines that contain `text`, a regular expression. Without capitals case does not matter.

    Raises ValueError. Reads only what does not change: fit for a thread.
    """
    raw = text.encode()
    pattern = compiled(text)
    is_plain = not META.search(raw)
    is_lower = raw == raw.lower()
    found: array[int] = array("I")
    for block in blocks:
        content = block.text.lower() if is_lower else block.text
        hits = _find(content, raw) if is_plain else _match(content, pattern)
        found.extend(block.first + line for line in hits)
    return found


def _find(content: bytes, wanted: bytes) -> Iterator[int]:
    """Numbers of the lines that contain it. Lines are counted only up to a hit: most of a log is never cut into lines."""
    line = counted = 0
    at = content.find(wanted)
    while at >= 0:
        line += content.count(b"\n", counted, at)
        yield line
        line += 1
        counted = content.find(b"\n", at) + 1
        at = content.find(wanted, counted)


def _match(content: bytes, pattern: re.Pattern[bytes]) -> Iterator[int]:
    """Numbers of the lines in which a match begins."""
    line, counted, last = 0, 0, -1
    for match in pattern.finditer(content):
        at = match.start()
        line += content.count(b"\n", counted, at)
        counted = at
        if line > last and at < len(content):
            yield line
            last = line


def pick(
    blocks: Sequence[Block], *, grep: str = "", streams: frozenset[int] | None = None, since: float = 0
) -> "array[int]":
    """Numbers of the lines to show: of these streams, not older than `since`, containing `grep`; notes always.

    Raises ValueError. Fit for a thread.
    """
    chosen: array[int] = array("I")
    hits = set(search(blocks, grep)) if grep else None
    for block in blocks:
        for at, mark in enumerate(block.marks):
            end = block.marks[at + 1].line if at + 1 < len(block.marks) else block.lines
            is_note = mark.stream == NOTE
            if not is_note and streams is not None and mark.stream not in streams:
                continue
            if not is_note and since and mark.time and mark.time < since:
                continue
            numbers = range(block.first + mark.line, block.first + end)
            chosen.extend(numbers if hits is None or is_note else (number for number in numbers if number in hits))
    return chosen


def wrapped(blocks: Sequence[Block], width: int) -> "array[int]":
    """How many rows of `width` cells all lines up to and including each one take. Fit for a thread."""
    rows: array[int] = array("I")
    total = 0
    for block in blocks:
        before = [-1, *block.ends[:-1]]
        if block.text.isascii() and not CONTROL.search(block.text):
            lengths = [min(end - start - 1, LONGEST_LINE + 1) for start, end in zip(before, block.ends, strict=True)]
        else:
            lengths = [_cells(block.text[start + 1 : end]) for start, end in zip(before, block.ends, strict=True)]
        rows.extend(accumulate(((length - 1) // width + 1 or 1 for length in lengths), initial=total))
        rows.pop(-len(lengths) - 1)
        total = rows[-1]
    return rows


def _cells(line: bytes) -> int:
    """How many cells a line takes on the screen."""
    if line.isascii() and not CONTROL.search(line):
        return min(len(line), LONGEST_LINE + 1)
    return sum(cell_len(text) for text, _ in shown(line))
