"""Reads the log of one attempt into a `LogText`: both streams in the order of their times, then what is added, to its end."""

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
    """All that was known at the time was read; told once."""


Step = More | CaughtUp


class _Stream:
    """One stream: where reading goes on, and pieces that wait for their turn."""

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.offset = 0
        self.is_over = False
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
        self.left = found.size - found.next_offset
        self.is_over = found.is_end
        self.is_idle = (not content and not found.is_end) or self.offset >= found.size


async def read(client: OrchestratorClient, job: str, index: int, attempt: int, text: LogText) -> AsyncIterator[Step]:
    """Fill `text`; ends when the log is complete. Raises ClientError; what was read stays."""
    if not client.has_partitions:
        async with aclosing(_read_frames(client, job, index, attempt, text)) as steps:
            async for step in steps:
                yield step
        return
    streams = [_Stream(number, name) for number, name in STREAMS]
    has_caught_up = False
    while True:
        for stream in streams:
            if not stream.pieces and not stream.is_over:
                await _fetch(client, job, index, attempt, stream, text)
        lines = _merge(streams, text)
        if lines:
            yield More(lines)
        if all(stream.is_over and not stream.pieces for stream in streams):
            rest = text.finish()
            if rest:
                yield More(rest)
            if not has_caught_up:
                yield CaughtUp()
            return
        if all((stream.is_over or stream.is_idle) and not stream.pieces for stream in streams):
            if not has_caught_up:
                has_caught_up = True
                yield CaughtUp()
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


async def _fetch(
    client: OrchestratorClient, job: str, index: int, attempt: int, stream: _Stream, text: LogText
) -> None:
    asked = stream.offset

    async def piece(offset: int) -> LogRange:
        return await client.log_range(job, index, attempt, stream.name, offset=offset, limit=PIECE)

    if stream.left > PIECE:
        places = range(asked, asked + min(stream.left, TOGETHER * PIECE), PIECE)
        for found in await asyncio.gather(*map(piece, places)):
            if found.offset != stream.offset or not found.content:
                return
            stream.take(found)
        return
    found = await piece(asked)
    if not stream.has_begun and found.size - found.offset > MOST:
        text.note(f"cut: the first {bytes_text(found.size - MOST)} of std{stream.name} are not shown here")
        stream.offset = found.size - MOST
        found = await piece(stream.offset)
    elif found.offset > asked:
        text.note(f"cut: {bytes_text(found.offset - asked)} of std{stream.name} were dropped here")
    stream.has_begun = True
    stream.take(found)


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
