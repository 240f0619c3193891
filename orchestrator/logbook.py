"""The logs of executions, kept by the orchestrator: shipped in pieces by nodes, read by range and by line, followed.

What is shipped lies in files (logfile.py); the last piece comes with the report of the end and lies in the store.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

import msgspec

from orchestrator.contract.agent import LogMark, Stream
from orchestrator.contract.ids import ExecutionId, Timestamp, after, is_execution_id
from orchestrator.core.model import NEVER, ExecutionRecord, TailRecord
from orchestrator.errors import ExecutionNotFoundError, InvalidRequestError, storage_errors
from orchestrator.logfile import LogFile
from orchestrator.logview import LineReader, StreamView

BOTH = (Stream.OUT, Stream.ERR)
LINES_AT_ONCE = 1024
"""Between two times that others may run."""
FARTHEST = 1 << 40
"""No byte of a log has a higher offset."""
FIRST_SECONDS = 1.0
"""How long a node that is asked for what it has not shipped yet is waited for; it ships at once, if it has anything."""
NEXT_SECONDS = 0.25
"""How long another piece is waited for: it ships one stream after the other."""
PIECES = 8
"""As many of them, and what else comes was not there when it was asked for."""


class LogSource(Protocol):
    """What the logbook asks the store."""

    async def execution(self, execution_id: ExecutionId) -> ExecutionRecord | None:
        """One execution, by its full id."""

    async def tails(self, execution_id: ExecutionId) -> list[TailRecord]:
        """The log tails that came with an execution's end."""


class LogPiece(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of one stream."""

    content: bytes
    offset: int
    """Where `content` begins: where it was asked for, or behind a part that was cut."""
    next_offset: int
    size: int
    """Bytes known so far, cut ones included."""
    is_end: bool
    """Whether `next_offset` is the end of a log that is complete."""
    stamps: tuple[tuple[int, Timestamp], ...]
    """All bytes below an offset had been seen by that time."""


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line with its end, or a piece of one: of a line over 64 KiB, before a cut, at the end of the log."""

    stream: Stream
    offset: int
    content: bytes
    time: Timestamp
    """When all of it had been seen; NEVER = not known."""


class Watch:
    """Who follows one execution's log. `news` is set, and replaced, when there may be something new."""

    def __init__(self) -> None:
        self.followers = 0
        self.has_ended = False
        self.news = asyncio.Event()

    def wake(self) -> None:
        """Tell all followers to look."""
        self.news.set()
        self.news = asyncio.Event()


class Logbook:
    """All logs, below one directory. `on_follow` is called with an execution whose log is followed now, or no longer."""

    def __init__(
        self, directory: Path, source: LogSource, on_follow: Callable[[ExecutionId], None] = lambda _: None
    ) -> None:
        self._directory = directory
        self._source = source
        self._on_follow = on_follow
        self._watches: dict[ExecutionId, Watch] = {}
        self._locks: WeakValueDictionary[ExecutionId, asyncio.Lock] = WeakValueDictionary()

    async def append(
        self,
        execution_id: ExecutionId,
        stream: Stream,
        offset: int,
        content: bytes,
        marks: Sequence[LogMark] = (),
        *,
        is_gap: bool = False,
    ) -> int:
        """Keep a piece of a log; durable when this returns. Returns the size: the next byte that is wanted.

        A repeat and an overlap are fine. A piece beyond the size is taken only where `is_gap` says that what is before it
        was cut; else nothing is kept, and the size says so. Raises InvalidRequestError and StorageError.
        """
        if not 0 <= offset <= FARTHEST - len(content):
            message = f"log offset: found {offset}, allowed: 0 to {FARTHEST - len(content)}"
            raise InvalidRequestError(message)
        file = self._file(execution_id)
        lock = self._locks.setdefault(execution_id, asyncio.Lock())
        async with lock:
            with storage_errors(self._directory):
                size = await asyncio.to_thread(file.append, stream, offset, content, marks, is_gap=is_gap)
        if watch := self._watches.get(execution_id):
            watch.wake()
        return size

    def ended(self, execution_id: ExecutionId) -> None:
        """The end of the execution was committed: those who follow get the rest and stop."""
        if watch := self._watches.get(execution_id):
            watch.has_ended = True
            watch.wake()

    def is_followed(self, execution_id: ExecutionId) -> bool:
        """Whether somebody reads this log as it is written."""
        return execution_id in self._watches

    async def extents(self, execution_id: ExecutionId) -> dict[Stream, tuple[int, int]]:
        """Of each stream: the offset of its first byte that can be read, and its size. A log to come is (0, 0)."""
        log = await self._open(execution_id)
        return {stream: (view.first, view.size) for stream, view in log.views.items()}

    async def read(self, execution_id: ExecutionId, stream: Stream, offset: int, limit: int) -> LogPiece:
        """At most `limit` bytes from `offset` on.

        Raises ExecutionNotFoundError, InvalidRequestError for a negative offset, and StorageError.
        """
        if offset < 0 or limit < 0:
            message = f"log range: found offset {offset}, limit {limit}, allowed: 0 and above"
            raise InvalidRequestError(message)
        log = await self._open(execution_id)
        view = log.views[stream]
        with storage_errors(self._directory):
            begin, content = await asyncio.to_thread(view.read, offset, limit)
        end = begin + len(content)
        return LogPiece(
            content=content,
            offset=begin,
            next_offset=end,
            size=view.size,
            is_end=log.record.state.is_terminal and end >= view.size,
            stamps=tuple((mark, log.time(at)) for mark, at in view.marks(begin, end)),
        )

    async def lines(
        self,
        execution_id: ExecutionId,
        *,
        streams: Sequence[Stream] = BOTH,
        begin: Mapping[Stream, int] | None = None,
        is_followed: bool = False,
    ) -> AsyncGenerator[LogLine, None]:
        """The lines of a log from the offsets `begin` on, both streams in the order of their times.

        Followed, it goes on with what comes, until the execution has ended; lines that were not seen together come in the
        order of their arrival. Raises ExecutionNotFoundError and StorageError. To leave early, `aclose` it.
        """
        with self._watching(execution_id, is_wanted=is_followed) as watch:
            news = watch.news
            log = await self._open(execution_id)
            readers = [LineReader(log.views[it], it, (begin or {}).get(it, 0)) for it in streams]
            while True:
                is_over = not is_followed or log.record.state.is_terminal
                async for line in self._known(log, readers, is_over=is_over):
                    yield line
                if is_over:
                    return
                await news.wait()
                news = watch.news
                await self._look_again(log, is_asked=watch.has_ended)

    async def freshen(self, execution_id: ExecutionId) -> None:
        """Have the node of a running execution ship what is written already: unasked it may keep it for seconds."""
        patience = FIRST_SECONDS
        with self._watching(execution_id, is_wanted=True) as watch, contextlib.suppress(TimeoutError):
            for _ in range(PIECES):
                async with asyncio.timeout(patience):
                    await watch.news.wait()
                if watch.has_ended:
                    return
                patience = NEXT_SECONDS

    async def delete(self, execution_id: ExecutionId) -> None:
        """Remove what was shipped of a log; nothing there is fine."""
        with storage_errors(self._directory):
            await asyncio.to_thread(self._file(execution_id).delete)

    async def _known(self, log: "OpenLog", readers: Sequence[LineReader], *, is_over: bool) -> AsyncIterator[LogLine]:
        """What can be told now; the last bytes without a line end only when all is over."""
        for count in itertools.count(1):
            if count % LINES_AT_ONCE == 0:
                await asyncio.sleep(0)  # a block of empty lines would keep the event loop for long
            for reader in readers:
                while not reader.lines and reader.has_more:
                    with storage_errors(self._directory):
                        await asyncio.to_thread(reader.fill)
                if is_over and not reader.lines:
                    reader.flush()
            waiting = [reader.lines for reader in readers if reader.lines]
            if not waiting:
                return
            first = min(waiting, key=lambda lines: float("inf") if lines[0].at is None else lines[0].at).popleft()
            time = NEVER if first.at is None else log.time(first.at)
            yield LogLine(stream=first.stream, offset=first.offset, content=first.content, time=time)

    async def _open(self, execution_id: ExecutionId) -> "OpenLog":
        file = self._file(execution_id)
        record = await self._source.execution(execution_id)
        if record is None:
            raise ExecutionNotFoundError(execution_id)
        log = OpenLog(record, file)
        log.end(await self._source.tails(execution_id))
        with storage_errors(self._directory):
            await asyncio.to_thread(log.refresh)
        return log

    async def _look_again(self, log: "OpenLog", *, is_asked: bool) -> None:
        """The record is read before the files: of a terminal one all is there. It is asked for only when it may have changed."""
        if is_asked or log.record.started == NEVER:
            log.record = await self._source.execution(log.record.id) or log.record
            log.end(await self._source.tails(log.record.id))
        with storage_errors(self._directory):
            await asyncio.to_thread(log.refresh)

    @contextlib.contextmanager
    def _watching(self, execution_id: ExecutionId, *, is_wanted: bool) -> Iterator[Watch]:
        if not is_wanted:
            yield Watch()
            return
        watch = self._watches.get(execution_id)
        if watch is None:
            watch = self._watches[execution_id] = Watch()
            self._on_follow(execution_id)
        watch.followers += 1
        try:
            yield watch
        finally:
            watch.followers -= 1
            if not watch.followers:
                del self._watches[execution_id]
                self._on_follow(execution_id)

    def _file(self, execution_id: ExecutionId) -> LogFile:
        if not is_execution_id(execution_id):
            raise ExecutionNotFoundError(execution_id)
        return LogFile(self._directory / execution_id[2:4] / execution_id)


class OpenLog:
    """One execution's log while it is read: its record, a view a stream, and how far its notes were read."""

    def __init__(self, record: ExecutionRecord, file: LogFile) -> None:
        self.record = record
        self.views = {stream: StreamView(file, stream) for stream in Stream}
        self._file = file
        self._position = 0

    def end(self, tails: Sequence[TailRecord]) -> None:
        """Take in the tails."""
        for tail in tails:
            self.views[tail.tail.stream].end(tail.tail)

    def refresh(self) -> None:
        """Look at the files again: sizes first, then the notes, which were written before the bytes. Blocks."""
        for view in self.views.values():
            view.refresh()
        notes, self._position = self._file.notes(self._position)
        for view in self.views.values():
            view.note(notes)

    def time(self, at: float) -> Timestamp:
        """The time of day `at` seconds after the start of the engine; NEVER while that is not known."""
        return NEVER if self.record.started == NEVER else after(self.record.started, at)
