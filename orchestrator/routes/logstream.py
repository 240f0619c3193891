"""The logs of many partitions in one stream, read or followed over all their attempts."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from orchestrator.contract.agent import Stream
from orchestrator.contract.api import STREAM_NUMBERS, LogFrameValue
from orchestrator.contract.execution import ExecutionState
from orchestrator.contract.ids import SECOND, ExecutionId, Timestamp, after
from orchestrator.contract.partitions import SETTLED
from orchestrator.contract.units import duration
from orchestrator.core.cluster import JobEntry
from orchestrator.core.model import NEVER, ExecutionRecord
from orchestrator.errors import AttemptNotFoundError, InvalidRequestError, OrchestratorError
from orchestrator.logbook import BOTH, Logbook, LogLine
from orchestrator.routes.backend import Backend
from orchestrator.routes.reasons import refusals_of, room_text
from orchestrator.routes.views import rfc3339
from orchestrator.selection import parse, select
from orchestrator.store.base import ExecutionQuery
from orchestrator.watch import job_bell

PAGE = 500
BLOCK = 64 << 10
PERIOD = 0.05
"""Seconds between two looks at a job that is followed, at least."""
WRITING = (ExecutionState.RUNNING, ExecutionState.PUBLISHING)
"""When a node may have lines that it has not shipped."""
Emit = Callable[[LogFrameValue], Awaitable[None]]


class LogWish(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines of a job's logs."""

    namespace: str = ""
    partitions: str = "all"
    attempt: str = "last"
    """A number, `last` or `all`."""
    follow: bool = False
    tail: Annotated[int, Meta(ge=-1, le=1_000_000)] = -1
    """How many lines of each log to begin with; -1 = all."""
    since: str = ""
    stream: str = ""
    timestamps: bool = False


async def freshen(backend: Backend, records: Iterable[ExecutionRecord]) -> None:
    """Have the nodes that still write these logs ship what is written, all at once."""
    async with asyncio.TaskGroup() as asking:
        for record in records:
            if record.state in WRITING:
                asking.create_task(backend.logbook.freshen(record.id))


class JobLog:
    """One stream: what was asked for, checked, and where its lines go."""

    def __init__(self, backend: Backend, entry: JobEntry, wish: LogWish, emit: Emit) -> None:
        self.backend = backend
        self.entry = entry
        self.wish = wish
        self.emit = emit
        self.streams = streams_of(wish.stream)
        self.since = since_of(wish.since, backend.now())
        self.number = attempt_of(wish.attempt)
        """The only attempt that is wanted; 0 = the last one, or all."""
        self.seen: dict[int, int] = {}
        """By partition: the last attempt that was begun."""

    async def run(self) -> None:
        """Write all that is wanted. Raises OrchestratorError."""
        store = self.backend.reactor.store
        stopping = self.backend.stopping(self.entry)
        wanted = await select(store, self.entry, stopping, parse(self.wish.partitions), self.backend.now())
        if self.wish.follow:
            await self.follow(set(wanted))
            return
        for begin in range(0, len(wanted), PAGE):
            records = await self.attempts(wanted[begin : begin + PAGE], is_first=True)
            await freshen(self.backend, records)
            for record in records:
                await self.read(record)
        if self.number and len(wanted) == 1 and not self.seen:
            raise AttemptNotFoundError(self.entry.id, wanted[0], self.number)

    async def follow(self, wanted: set[int]) -> None:
        """Read and follow every attempt of these partitions until all of them are settled."""
        reactor = self.backend.reactor
        commit = reactor.commit
        changed = wanted
        unfinished = set(wanted)
        is_first = True
        async with asyncio.TaskGroup() as readers:
            with reactor.bells.listen(job_bell(self.entry.id)) as rung:
                while True:
                    rung.clear()
                    await self.begin(readers, sorted(changed), is_first=is_first)
                    unfinished -= {index for index in changed if self.is_over(index)}
                    if not unfinished or self.backend.is_closing:
                        return
                    if is_first:
                        await self.tell_waiting(wanted)
                    is_first = False
                    await rung.wait()
                    await asyncio.sleep(PERIOD)
                    entry = await reactor.entry(self.entry.id)
                    if entry is not self.entry and entry.record.job.version != self.entry.record.job.version:
                        await self.emit(LogFrameValue(type=0, line="", event="a newer version of the job has begun"))
                        return
                    self.entry = entry
                    at, news = reactor.commit, reactor.changes(entry.id).since(commit)
                    changed = wanted if news is None else wanted & news
                    commit = at
                    unfinished |= changed

    async def begin(self, readers: asyncio.TaskGroup, indices: Sequence[int], *, is_first: bool) -> None:
        """Begin with the attempts of these partitions that are new; those that have ended are read at once."""
        for begin in range(0, len(indices), PAGE):
            page = [i for i in indices[begin : begin + PAGE] if self.entry.attempts[i] > self.seen.get(i, 0)]
            for record in await self.attempts(page, is_first=is_first):
                if record.attempt > 1 and not (is_first and self.wish.attempt == "last"):
                    event = f"attempt {record.attempt} on {record.node_id}"
                    await self.emit(LogFrameValue(type=0, line="", partition=record.index, event=event))
                if record.state.is_terminal:
                    await self.read(record)
                else:
                    readers.create_task(self.read(record))

    def is_over(self, index: int) -> bool:
        """Whether nothing more is wanted of a partition than what was begun."""
        if self.number and self.seen.get(index, 0) >= self.number:
            return True
        return self.entry.states[index] in SETTLED and index not in self.entry.live

    async def tell_waiting(self, wanted: Iterable[int]) -> None:
        """Say why partitions have not begun."""
        waiting = [index for index in wanted if not self.entry.attempts[index]]
        if not waiting:
            return
        reason = room_text(refusals_of(self.backend, self.entry))
        only = waiting[0] if len(waiting) == 1 else None
        text = reason if only is not None else f"{len(waiting)} partitions have not started: {reason}"
        await self.emit(LogFrameValue(type=0, line="", partition=only, event=f"waiting: {text}"))

    async def attempts(self, indices: Sequence[int], *, is_first: bool) -> list[ExecutionRecord]:
        """The attempts of these partitions that are wanted and were not begun, by partition and attempt."""
        store, job = self.backend.reactor.store, self.entry.record.job
        found = await store.last_executions(job.id, job.version, indices)
        if self.wish.attempt != "last" or not is_first:
            missing = [one.index for one in found if one.attempt > self.seen.get(one.index, 0) + 1]
            for index in missing:
                wanted = ExecutionQuery(job_id=job.id, version=job.version, index=index)
                found = [one for one in found if one.index != index] + await store.executions(wanted)
        fresh = [one for one in found if one.attempt > self.seen.get(one.index, 0) and self.number in (0, one.attempt)]
        fresh.sort(key=lambda one: (one.index, one.attempt))
        for one in fresh:
            self.seen[one.index] = one.attempt
        return fresh

    async def read(self, record: ExecutionRecord) -> None:
        """Write the log of one attempt, followed to its end if that was asked for."""
        logbook = self.backend.logbook
        try:
            begin: dict[Stream, int] = {}
            if self.wish.tail >= 0:
                lines, begin = await last_lines(logbook, record.id, self.streams, self.wish.tail)
                for line in lines:
                    await self.write(record, line)
                if not self.wish.follow:
                    return
            followed = logbook.lines(record.id, streams=self.streams, begin=begin, is_followed=self.wish.follow)
            async with aclosing(followed) as lines_to_come:
                async for line in lines_to_come:
                    await self.write(record, line)
        except OrchestratorError as error:
            event = f"the log of attempt {record.attempt} cannot be read: {error.message}"
            await self.emit(LogFrameValue(type=0, line="", partition=record.index, event=event))

    async def write(self, record: ExecutionRecord, line: LogLine) -> None:
        """One line, unless it is older than what was asked for."""
        if line.time != NEVER and line.time < self.since:
            return
        await self.emit(
            LogFrameValue(
                type=STREAM_NUMBERS[line.stream],
                line=line.content.decode(errors="replace"),
                partition=record.index,
                attempt=record.attempt,
                time=rfc3339(line.time) if self.wish.timestamps else "",
            )
        )


async def last_lines(
    logbook: Logbook, execution_id: ExecutionId, streams: Sequence[Stream], number: int
) -> tuple[list[LogLine], dict[Stream, int]]:
    """The last lines of a log as it is now, and where each stream goes on after them."""
    extents = await logbook.extents(execution_id)
    begin = {stream: await offset_of_last(logbook, execution_id, stream, extents[stream], number) for stream in streams}
    kept: deque[LogLine] = deque(maxlen=number)
    ends = dict(begin)
    async with aclosing(logbook.lines(execution_id, streams=streams, begin=begin)) as lines:
        async for line in lines:
            ends[line.stream] = line.offset + len(line.content)
            kept.append(line)
    return list(kept), ends


async def offset_of_last(
    logbook: Logbook, execution_id: ExecutionId, stream: Stream, extent: tuple[int, int], number: int
) -> int:
    """Where the last `number` lines of a stream begin."""
    first, size = extent
    end, found = size, 0
    while end > first and number:
        begin = max(first, end - BLOCK)
        piece = await logbook.read(execution_id, stream, begin, end - begin)
        at = len(piece.content) - 1 if end == size else len(piece.content)
        while (at := piece.content.rfind(b"\n", 0, max(0, at))) >= 0:
            found += 1
            if found == number:
                return piece.offset + at + 1
        end = begin
    return first if number else size


def streams_of(text: str) -> tuple[Stream, ...]:
    """Which streams. Raises InvalidRequestError."""
    if not text:
        return BOTH
    if text not in tuple(Stream):
        message = f"stream: found {text!r}, allowed: {', '.join(Stream)}, or nothing for both"
        raise InvalidRequestError(message)
    return (Stream(text),)


def attempt_of(text: str) -> int:
    """Which attempt; 0 = the last one, or all. Raises InvalidRequestError."""
    if text in ("last", "all"):
        return 0
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) == int(text)):
        message = f"attempt: found {text!r}, allowed: a number from 1, last, or all"
        raise InvalidRequestError(message)
    return int(text)


def since_of(text: str, now: Timestamp) -> Timestamp:
    """A time of day, or so long before now. Raises InvalidRequestError."""
    if not text:
        return NEVER
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return after(now, -duration(text))
        except ValueError as error:
            message = f"since: found {text!r}, allowed: a time (2026-01-31T12:00:00Z), or a duration (10m)"
            raise InvalidRequestError(message) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return Timestamp(round(moment.timestamp() * SECOND))
