"""What partitions wrote, onto stdout: one partition as raw bytes, several with a tag before each line."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import msgspec

from orchestrator.client import OrchestratorClient
from orchestrator.client_stream import LogQuery
from orchestrator.client_stream import logs as log_frames
from orchestrator.contract.api import LogFrameValue
from orchestrator.contract.execution import Execution
from tui.cli.context import Context
from tui.cli.diagnostics import note
from tui.cli.printable import SAFE_IN_LOGS, printable

PIECE = 1 << 18
"""Bytes asked for at once."""
STREAMS = {1: "out", 2: "err"}


class LogOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines, and how they are written."""

    select: str = "all"
    attempt: str = "last"
    follow: bool = False
    tail: int | None = None
    since: str = ""
    stream: str = ""
    timestamps: bool = False
    grep: str = ""
    has_prefix: bool = True
    execution: Execution | None = None
    """Only of this one, which may be of an earlier version."""


class LogLine(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A line of a log under `--json`."""

    partition: int
    attempt: int
    stream: str
    time: str
    line: str


async def stream_logs(context: Context, client: OrchestratorClient, job: str, options: LogOptions) -> None:
    """Write the lines of many partitions as they come, until all are read or, following, have ended."""
    query = LogQuery(
        partitions=options.select,
        attempt=options.attempt,
        follow=options.follow,
        tail=options.tail,
        since=options.since,
        stream=options.stream,
        timestamps=options.timestamps or context.wants_json,
        execution=options.execution,
    )
    matches = re.compile(options.grep).search if options.grep else None
    write = _writer(context, options)
    async with aclosing(log_frames(client, job, query)) as frames:
        async for frame in frames:
            if frame.event:
                _tell(context, frame)
            elif matches is None or matches(frame.line.rstrip("\n")):
                write(frame)


def _writer(context: Context, options: LogOptions) -> Callable[[LogFrameValue], None]:
    output = context.output

    def as_json(frame: LogFrameValue) -> None:
        line = LogLine(
            partition=frame.partition or 0,
            attempt=frame.attempt or 0,
            stream=STREAMS.get(frame.type, ""),
            time=frame.time,
            line=frame.line.rstrip("\n"),
        )
        output.json(line)

    def as_text(frame: LogFrameValue) -> None:
        tag = f"{frame.partition}.{frame.attempt}| " if options.has_prefix and frame.partition is not None else ""
        time = f"{frame.time} " if options.timestamps and frame.time else ""
        text = SAFE_IN_LOGS.sub("�", frame.line) if output.is_terminal and tag else frame.line
        end = "\n" if tag and not text.endswith("\n") else ""
        output.raw(f"{tag}{time}{text}{end}".encode(errors="replace"))

    return as_json if context.wants_json else as_text


def _tell(context: Context, frame: LogFrameValue) -> None:
    """A line about the stream, not of it: `--- attempt 2 on n-07 ---`. On stderr, so that stdout stays the log."""
    if not context.wants_json:
        place = f"partition {frame.partition}: " if frame.partition is not None else ""
        note(f"--- {place}{frame.event} ---")


async def raw_log(
    context: Context, client: OrchestratorClient, job: str, index: int, attempt: int, stream: str
) -> None:
    """Write one attempt's log byte for byte; both streams in the order in which they were seen."""
    if not client.has_partitions:
        options = LogOptions(select=str(index), attempt=str(attempt), stream=stream, has_prefix=False)
        await stream_logs(context, client, job, options)
        return
    names = [stream] if stream else ["out", "err"]
    streams = [_pieces(client, job, index, attempt, name, is_fresh=name == names[0]) for name in names]
    async for piece in _merged(streams):
        context.output.raw(piece)


async def _pieces(
    client: OrchestratorClient, job: str, index: int, attempt: int, stream: str, *, is_fresh: bool
) -> AsyncIterator[tuple[str, bytes]]:
    """A log in pieces, each with the time (RFC 3339) at which its bytes had been seen; `is_fresh`: both logs as they are now."""
    offset = 0
    while True:
        part = await client.log_range(
            job, index, attempt, stream, offset=offset, limit=PIECE, fresh=is_fresh and not offset
        )
        at = part.offset
        for stamp in part.stamps:
            end = min(stamp.offset, part.next_offset)
            if end > at:
                yield stamp.time, part.content[at - part.offset : end - part.offset]
                at = end
        if at < part.next_offset:
            last = part.stamps[-1].time if part.stamps else ""
            yield last, part.content[at - part.offset :]
        if part.next_offset <= offset or part.next_offset >= part.size:
            return
        offset = part.next_offset


async def _merged(streams: list[AsyncIterator[tuple[str, bytes]]]) -> AsyncIterator[bytes]:
    """The pieces of several logs, the oldest first; of one instant in the order of the streams."""
    heads = [(stream, await anext(stream, None)) for stream in streams]
    while waiting := [at for at, (_, head) in enumerate(heads) if head is not None]:
        first = min(waiting, key=lambda at: (heads[at][1] or ("", b""))[0])
        stream, head = heads[first]
        assert head is not None
        yield head[1]
        heads[first] = stream, await anext(stream, None)


def no_log(job: str, index: int) -> str:
    """What is said of a partition that has not begun."""
    return f"partition {index} of {printable(job)} has not started: there is no log yet"
