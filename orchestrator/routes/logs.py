"""Logs: a piece of one attempt's by range, and streams over WebSocket, of one execution as Bacalhau does or of many."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import msgspec
import re2  # type: ignore[import-untyped]
import structlog
from litestar import Response, WebSocket, get, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath
from msgspec import Meta

from orchestrator.contract.agent import Stream
from orchestrator.contract.api import STREAM_NUMBERS, LogFrame, LogFrameValue
from orchestrator.contract.execution import ExecutionState
from orchestrator.contract.history import Stamp
from orchestrator.contract.ids import ExecutionId
from orchestrator.contract.partitions import LogRange
from orchestrator.core.cluster import JobEntry
from orchestrator.core.model import ExecutionRecord
from orchestrator.errors import AttemptNotFoundError, InvalidRequestError, OrchestratorError
from orchestrator.logbook import BOTH, LogPiece
from orchestrator.routes.backend import Backend
from orchestrator.routes.logstream import Emit, JobLog, LogWish, freshen
from orchestrator.routes.partitions import attempts_of
from orchestrator.routes.views import rfc3339
from orchestrator.routes.wire import HttpRequest, answer, query
from orchestrator.store.base import ExecutionQuery

Matcher: TypeAlias = Callable[[bytes], object | None]
LIMIT = 64 << 10
MOST = 4 << 20
"""Bytes of a range: unless asked for, and at most."""
LATEST = 100
"""Executions that are looked at for one that was not discarded."""
Socket = WebSocket[Any, Any, Any]
log = structlog.get_logger()
DISCARDED = (ExecutionState.FAILED, ExecutionState.CANCELLED, ExecutionState.BID_REJECTED)


class RangeQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which bytes. A negative offset counts from the end."""

    namespace: str = ""
    stream: str = "out"
    offset: int = 0
    limit: Annotated[int, Meta(ge=0, le=MOST)] = 0
    grep: str = ""
    fresh: bool = False
    """Whether a node that still writes it is asked for what it has not shipped yet, which takes it a moment."""


class StreamQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which execution, as Bacalhau's clients ask."""

    namespace: str = ""
    execution_id: str = ""
    tail: bool = False
    follow: bool = False
    job_version: Annotated[int, Meta(ge=0)] = 0


@get(
    "/api/v1/orchestrator/jobs/{job_id:str}/partitions/{index:int}/attempts/{attempt:int}/log",
    query=RangeQuery,
    answer=LogRange,
)
async def get_log(
    request: HttpRequest,
    job_id: FromPath[str],
    index: FromPath[int],
    attempt: FromPath[int],
    backend: NamedDependency[Backend],
) -> Response[bytes]:
    """A piece of one attempt's log; with `grep` only the whole lines of it that match."""
    asked = query(request.query_params, RangeQuery)
    if asked.stream not in tuple(Stream):
        message = f"stream: found {asked.stream!r}, allowed: {', '.join(Stream)}"
        raise InvalidRequestError(message)
    stream = Stream(asked.stream)
    pattern = pattern_of(asked.grep)
    entry = await backend.reactor.entry(job_id, asked.namespace)
    records = await attempts_of(backend, entry, index)
    record = next((one for one in records if one.attempt == attempt), None)
    if record is None:
        raise AttemptNotFoundError(entry.id, index, attempt)
    if asked.fresh:
        await freshen(backend, [record])
    offset = asked.offset
    if offset < 0:
        offset = max(0, (await backend.logbook.extents(record.id))[stream][1] + offset)
    piece = await backend.logbook.read(record.id, stream, offset, asked.limit or LIMIT)
    return await answer(request, range_of(piece, pattern))


def pattern_of(text: str) -> Matcher | None:
    """What lines have to contain. Raises InvalidRequestError.

    RE2 takes time in proportion to the line whatever the expression is, so that nobody can keep the server busy with one.
    """
    if not text:
        return None
    quiet = re2.Options()
    quiet.log_errors = False
    try:
        compiled: Matcher = re2.compile(text.encode(), quiet).search
    except re2.error as error:
        reason = error.args[0].decode() if error.args else ""
        message = f"grep: found {text!r}, allowed: a regular expression (RE2): {reason}"
        raise InvalidRequestError(message) from error
    return compiled


def range_of(piece: LogPiece, matches: Matcher | None) -> LogRange:
    """A piece on the wire. With a pattern it ends behind its last whole line, so that no line is cut in two."""
    content, following = piece.content, piece.next_offset
    if matches is not None:
        end = content.rfind(b"\n") + 1
        if end and not piece.is_end:
            following -= len(content) - end
            content = content[:end]
        content = b"".join(line for line in content.splitlines(keepends=True) if matches(line))
    return LogRange(
        content=content,
        offset=piece.offset,
        next_offset=following,
        size=piece.size,
        is_end=piece.is_end,
        stamps=tuple(Stamp(offset=offset, time=rfc3339(time)) for offset, time in piece.stamps),
    )


@get("/api/v1/orchestrator/jobs/{job_id:str}/logs", query=LogWish)
async def no_socket(job_id: FromPath[str]) -> None:
    """Logs come over a WebSocket."""
    message = "logs are read over a WebSocket: this request has no `Upgrade: websocket`"
    hint = f"read a log by range: GET .../jobs/{job_id}/partitions/0/attempts/1/log"
    raise InvalidRequestError(message, hint=hint)


@websocket("/api/v1/orchestrator/jobs/{job_id:str}/logs")
async def stream_logs(socket: Socket, job_id: FromPath[str], backend: NamedDependency[Backend]) -> None:
    """Lines of logs, a text frame each; closed with 1000 at the end. What is wrong comes as a frame, too."""
    await socket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        async with asyncio.TaskGroup() as tasks:
            leaving = tasks.create_task(left(socket))
            await write_logs(socket, job_id, backend, leaving)
            leaving.cancel()


async def left(socket: Socket) -> None:
    """Returns when the client has gone; what it sends means nothing."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()


async def write_logs(socket: Socket, job_id: str, backend: Backend, leaving: "asyncio.Task[None]") -> None:
    """Write what was asked for and close, unless the client leaves first."""
    turn = asyncio.Lock()

    async def emit(value: LogFrameValue, error: str = "") -> None:
        async with turn:
            frame = msgspec.json.encode(LogFrame(value=value, error=error))
            await socket.send_text(frame.decode() + "\n")

    async def work() -> None:
        try:
            await write_wanted(socket, job_id, backend, emit)
        except OrchestratorError as error:
            await emit(LogFrameValue(type=0, line=""), error.message)
        except Exception:
            log.exception("log_stream_failed", job=job_id)
            await emit(LogFrameValue(type=0, line=""), "Internal server error")

    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(work())
        await asyncio.wait({leaving, working}, return_when=asyncio.FIRST_COMPLETED)
        working.cancel()
    if not leaving.done():
        await socket.close(code=1000)


async def write_wanted(socket: Socket, job_id: str, backend: Backend, emit: Emit) -> None:
    """With `partitions` or `attempt` the logs of many partitions, else of one execution."""
    given = socket.query_params
    if any(key.lower() in ("partitions", "attempt") for key in given):
        wish = query(given, LogWish)
        entry = await backend.reactor.entry(job_id, wish.namespace)
        await JobLog(backend, entry, wish, emit).run()
        return
    asked = query(given, StreamQuery)
    entry = await backend.reactor.entry(job_id, asked.namespace)
    record = await wanted_execution(backend, entry, asked)
    if asked.follow is asked.tail:  # where the log is now: to end there, or to begin there
        await freshen(backend, [record])
    begin = {}
    if asked.tail:
        begin = {stream: size for stream, (_, size) in (await backend.logbook.extents(record.id)).items()}
    lines = backend.logbook.lines(record.id, streams=BOTH, begin=begin, is_followed=asked.follow)
    async with contextlib.aclosing(lines) as lines_to_come:
        async for line in lines_to_come:
            await emit(LogFrameValue(type=STREAM_NUMBERS[line.stream], line=line.content.decode(errors="replace")))


async def wanted_execution(backend: Backend, entry: JobEntry, asked: StreamQuery) -> ExecutionRecord:
    """The execution of that id, else the one modified last that was not discarded, else the one modified last."""
    job, version = entry.record.job, asked.job_version
    trouble = f"failed to open log stream for job {job.id}:"
    if asked.execution_id:
        found = await backend.execution(ExecutionId(asked.execution_id))
        if found is None or found.job_id != job.id or version not in (0, found.job_version):
            message = (
                f"{trouble} unable to find execution {asked.execution_id} in job {job.id} and job version {version}"
            )
            raise InvalidRequestError(message)
        return found
    wanted = ExecutionQuery(job_id=job.id, version=version, order_by="modified_at", is_reversed=True, limit=LATEST)
    records = await backend.reactor.store.executions(wanted)
    if not records:
        message = f"{trouble} no executions found for job {job.name} with ID {job.id}, and version {version}"
        raise InvalidRequestError(message)
    return next((one for one in records if one.state not in DISCARDED), records[0])
