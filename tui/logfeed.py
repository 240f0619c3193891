"""Reads the log of one attempt into a `LogText`: both streams in the order of their times, then what is added, to its end.

A long log is read from its last screens on: they can be read at once, what is before them follows.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import msgspec

from orchestrator.client import OrchestratorClient
from orchestrator.client_stream import LogQuery, logs
from orchestrator.contract.agent import Stream
from orchestrator.contract.api import STREAM_NUMBERS, LogFrameValue
from orchestrator.contract.partitions import LogRange
from tui.model.logtext import ERR, OUT, LogText
from tui.model.moments import bytes_text, seconds_of

LAST = 512 << 10
"""Bytes at the end of each stream that are read first."""
PIECE = 4 << 20
"""Bytes of one request."""
TOGETHER = 3
"""Requests at once while there is more."""
MOST = 192 << 20
"""Bytes of a stream that are held: of a longer one the end."""
PERIOD = 0.3
"""Seconds between two looks at a log that grows."""
STREAMS = ((OUT, "out"), (ERR, "err"))


class More(msgspec.Struct, frozen=True):
    """So many lines were added."""

    lines: int


class CaughtUp(msgspec.Struct, frozen=True):
    """The end is reached: all that was known at the time was read, but for what is told of by `Before`; told once."""


class Before(msgspec.Struct, frozen=True):
    """So many bytes before the text are still to be read; 0: none, and so many lines were put before it."""

    left: int
    lines: int = 0


Step = More | CaughtUp | Before


class _Stream:
    """One stream: where reading goes on, and pieces that wait for their turn."""

    def __init__(self, number: int, name: str, end: int | None = None) -> None:
        self.number = number
        self.name = name
        self.end = end
        """Where reading stops; None = at the end of the log."""
        self.offset = 0
        self.is_over = end == 0
        self.is_idle = False
        self.left = 0
        """Bytes known to be there and not read."""
        self.has_begun = False
        self.pieces: deque[tuple[float, bytes]] = deque()

    def take(self, found: LogRange) -> None:
        """Cut a range where its times change."""
        at, content = found.offset, found.content
        time = self.pieces[-1][0] if self.pieces else 0.0
        offsets = [stamp.offset for stamp in found.stamps]
        for stamp in found.stamps[bisect_right(offsets, at) :]:
            time = seconds_of(stamp.time) or time
            upto = min(stamp.offset, found.offset + len(content))
            if upto > at:
                self.pieces.append((time, content[at - found.offset : upto - found.offset]))
                at = upto
        if at < found.offset + len(content):
            last = seconds_of(found.stamps[-1].time) if found.stamps else None
            self.pieces.append((last or time, content[at - found.offset :]))
        self.offset = found.next_offset
        self.left = (found.size if self.end is None else self.end) - found.next_offset
        self.is_over = found.is_end or (self.end is not None and (self.left <= 0 or not content))
        self.is_idle = (not content and not found.is_end) or self.offset >= found.size


async def read(client: OrchestratorClient, job: str, index: int, attempt: int, text: LogText) -> AsyncIterator[Step]:
    """Fill `text`; ends when the log is complete. Raises ClientError; what was read stays."""
    if not client.has_partitions:
        async with aclosing(_read_frames(client, job, index, attempt, text)) as steps:
            async for step in steps:
                yield step
        return
    log = _Log(client, job, index, attempt)
    streams = [_Stream(number, name) for number, name in STREAMS]
    before = None if text.count else await log.last(streams)
    head = LogText()
    has_caught_up = False
    while True:
        lines = await log.read_on(streams, text)
        if lines:
            yield More(lines)
        is_over = all(stream.is_over and not stream.pieces for stream in streams)
        rest = text.finish() if is_over else 0
        if rest:
            yield More(rest)
        if not is_over and any(stream.pieces or not (stream.is_over or stream.is_idle) for stream in streams):
            continue
        if not has_caught_up:
            has_caught_up = True
            yield CaughtUp()
        if before is not None:
            if any(not stream.is_over or stream.pieces for stream in before):
                yield Before(sum(stream.left for stream in before))
                await log.read_on(before, head)
                continue
            head.finish()
            text.put_before(head)
            before = None
            yield Before(0, head.count)
        elif is_over:
            return
        else:
            await asyncio.sleep(PERIOD)


async def _read_frames(
    client: OrchestratorClient, job: str, index: int, attempt: int, text: LogText
) -> AsyncGenerator[Step, None]:
    """The same from a Bacalhau, which has no ranges: what is there, then, of an attempt that goes on, what comes beyond it."""
    attempts = (await client.partition(job, index)).attempts
    is_live = any(one.attempt == attempt and not one.finished for one in attempts)
    query = LogQuery(partitions=str(index), attempt=str(attempt))
    known = 0
    async with aclosing(logs(client, job, query)) as frames:
        async for frame in frames:
            known += 1
            yield More(_append(text, frame))
    if is_live:
        yield CaughtUp()
        async with aclosing(logs(client, job, msgspec.structs.replace(query, follow=True))) as frames:
            async for frame in frames:
                known -= 1
                if known < 0:
                    yield More(_append(text, frame))
    rest = text.finish()
    if rest:
        yield More(rest)
    if not is_live:
        yield CaughtUp()


def _append(text: LogText, frame: LogFrameValue) -> int:
    """Add a frame; how many lines became whole by it."""
    stream = ERR if frame.type == STREAM_NUMBERS[Stream.ERR] else OUT
    return text.append(stream, frame.line.encode(errors="replace"))


class _Log:
    """The log of one attempt, as the orchestrator gives it piece by piece."""

    def __init__(self, client: OrchestratorClient, job: str, index: int, attempt: int) -> None:
        self.client = client
        self.place = job, index, attempt

    async def piece(self, stream: _Stream, offset: int, limit: int = PIECE) -> LogRange:
        """A piece, which may begin later than asked for; cut where the stream is to stop."""
        end = stream.end
        found = await self.client.log_range(*self.place, stream.name, offset=offset, limit=limit)
        if end is None or found.next_offset <= end:
            return found
        content = found.content[: max(0, end - found.offset)]
        return msgspec.structs.replace(found, content=content, offset=min(found.offset, end), next_offset=end)

    async def last(self, streams: list[_Stream]) -> list[_Stream] | None:
        """Begin with the last screens. Returns what is before them, as streams to be read; None = nothing is.

        All lines of the last screens are later than all before them, and whole.
        """
        found = await asyncio.gather(*(self.piece(stream, -LAST, LAST) for stream in streams))
        begins = _begins(streams, found)
        if begins is None:
            return None
        for stream, part, begin in zip(streams, found, begins, strict=True):
            cut = part.content[begin - part.offset :]
            stream.take(msgspec.structs.replace(part, content=cut, offset=begin))
            stream.has_begun = True
        if not any(begins):
            return None
        before = [_Stream(stream.number, stream.name, begin) for stream, begin in zip(streams, begins, strict=True)]
        for stream, begin in zip(before, begins, strict=True):
            stream.left = begin
        return before

    async def read_on(self, streams: list[_Stream], text: LogText) -> int:
        """Fetch where nothing waits, and add what may be added; returns how many lines that were."""
        for stream in streams:
            if not stream.pieces and not stream.is_over:
                await self._fetch(stream, text)
        return _merge(streams, text)

    async def _fetch(self, stream: _Stream, text: LogText) -> None:
        asked = stream.offset
        if stream.has_begun and stream.left > PIECE:
            places = range(asked, asked + min(stream.left, TOGETHER * PIECE), PIECE)
            for found in await asyncio.gather(*(self.piece(stream, place) for place in places)):
                if found.offset == stream.offset and found.content:
                    stream.take(found)
            if stream.offset > asked:
                return
        found = await self.piece(stream, asked)
        size = found.size if stream.end is None else stream.end
        if not stream.has_begun and size - found.offset > MOST:
            text.cut(size - MOST, f"the first {bytes_text(size - MOST)} of std{stream.name} are not shown here")
            stream.offset = size - MOST
            found = await self.piece(stream, stream.offset)
        elif found.offset > asked:
            dropped = found.offset - asked
            text.cut(dropped, f"{bytes_text(dropped)} of std{stream.name} were dropped here")
        stream.has_begun = True
        stream.take(found)


def _begins(streams: list[_Stream], found: list[LogRange]) -> list[int] | None:
    """Where the last screens begin in each stream; None = at no end of a line, so that all is to be read in order."""
    probes = [_Stream(stream.number, stream.name) for stream in streams]
    for probe, part in zip(probes, found, strict=True):
        probe.take(part)
    earliest = max(
        (probe.pieces[0][0] for probe, part in zip(probes, found, strict=True) if part.offset and probe.pieces),
        default=0.0,
    )
    begins = []
    for probe, part in zip(probes, found, strict=True):
        skipped = sum(len(content) for time, content in probe.pieces if time < earliest)
        begin = part.content.rfind(b"\n", 0, skipped) + 1
        if not begin and part.offset:
            begin = part.content.find(b"\n") + 1
            if not begin and part.content:
                return None
        begins.append(part.offset + begin)
    return begins


def _merge(streams: list[_Stream], text: LogText) -> int:
    """Add pieces in the order of their times, as long as none that is still to come can be earlier."""
    lines = 0
    while True:
        ready = [stream for stream in streams if stream.pieces]
        is_waited_for = any(not stream.pieces and not stream.is_over and not stream.is_idle for stream in streams)
        if not ready or is_waited_for:
            return lines
        first = min(ready, key=lambda stream: stream.pieces[0][0])
        time, content = first.pieces.popleft()
        lines += text.append(first.number, content, time)
