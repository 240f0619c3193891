"""What node agents call: sync, and the uploads of logs and results. Not part of the public API."""

import asyncio
import base64
import binascii
from typing import Annotated

import msgspec
from litestar import Response, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from orchestrator.contract.agent import Assignment, LogMark, Stream, SyncRequest, SyncResponse
from orchestrator.contract.execution import DesiredState
from orchestrator.contract.ids import ExecutionId, JobId, NodeId
from orchestrator.contract.job import Job, SpecConfig
from orchestrator.core.cluster import NodeEntry
from orchestrator.core.commands import Sync
from orchestrator.core.model import ExecutionRecord, JobRecord, Override
from orchestrator.errors import (
    ExecutionNotFoundError,
    InvalidRequestError,
    NodeRefusedError,
    OrchestratorError,
    SessionConflictError,
)
from orchestrator.routes.backend import Backend
from orchestrator.routes.listing import base_url
from orchestrator.routes.wire import HttpRequest, query
from orchestrator.watch import node_bell

LONGEST_HOLD = 10.0
"""Seconds that an answer is held at most."""
MAX_SYNC = 256 << 20
MAX_LOG = 16 << 20
"""Bytes of one sync, and of one piece of a log."""
MARKS = msgspec.json.Decoder(list[LogMark])
SYNC = msgspec.json.Decoder(SyncRequest)


class ResultGoneError(OrchestratorError):
    """The execution has ended, was declared lost or should stop: its results are not taken."""

    status = 410
    code = "Gone"
    component = "ResultStore"

    def __init__(self, execution: str) -> None:
        super().__init__(f"results of execution {execution} are not wanted any more: it has ended or was declared lost")


class WrongNodeError(OrchestratorError):
    """The execution is another node's."""

    status = 409
    code = "WrongNode"
    component = "NodesManager"

    def __init__(self, execution: str, node: str) -> None:
        super().__init__(f"execution {execution} is not of node {node}")


class LogQueryString(msgspec.Struct, frozen=True, kw_only=True):
    """Where a piece of log belongs."""

    offset: Annotated[int, Meta(ge=0)]
    gap: bool = False


@post("/api/v1/agents/{node_id:str}/sync", status_code=200, request_max_body_size=MAX_SYNC)
async def sync(request: HttpRequest, node_id: FromPath[str], backend: NamedDependency[Backend]) -> Response[bytes]:
    """Take in what a node sees; answer what should run there, at once when that has changed, else after a while."""
    raw = await request.body()
    try:
        seen = SYNC.decode(raw)
    except msgspec.MsgspecError as error:
        message = f"sync: {error}"
        raise InvalidRequestError(message) from error
    node = NodeId(node_id)
    await backend.reactor.carry_out(Sync(node_id=node, request=seen))
    await hold(backend, node, seen)
    return Response(msgspec.json.encode(response_of(backend, node, seen)), media_type="application/json")


async def hold(backend: Backend, node_id: NodeId, seen: SyncRequest) -> None:
    """Return when there is something new for this session, a newer sync has come, or the wait is over."""
    reactor = backend.reactor
    mine = backend.arrivals[node_id] = backend.arrivals.get(node_id, 0) + 1
    reactor.bells.ring(node_bell(node_id))
    seconds = min(seen.wait, reactor.cluster.lease / 3, LONGEST_HOLD)
    if seconds <= 0:
        return
    try:
        with reactor.bells.listen(node_bell(node_id)) as rung:
            async with asyncio.timeout(seconds):
                while True:
                    rung.clear()
                    node = reactor.cluster.nodes.get(node_id)
                    if node is None or backend.arrivals[node_id] != mine or backend.is_closing:
                        return
                    if backend.answered.get(node_id) != (seen.session, backend.reactor.turn(node_id)):
                        return
                    await rung.wait()
    except TimeoutError:
        return


def response_of(backend: Backend, node_id: NodeId, seen: SyncRequest) -> SyncResponse:
    """Everything that should run on a node now. Raises NodeRefusedError, SessionConflictError."""
    node = session_node(backend, node_id, seen.session)
    cluster = backend.reactor.cluster
    held = set(seen.held)
    assignments: list[Assignment] = []
    jobs: dict[tuple[JobId, int], Job] = {}
    for execution_id in node.live:
        execution = cluster.executions[execution_id]
        if execution.desired is DesiredState.STOPPED:
            continue
        record = cluster.jobs[execution.job_id].record
        assignments.append(assignment_of(execution, record, is_followed=backend.logbook.is_followed(execution.id)))
        key = (execution.job_id, execution.job_version)
        if key not in held and key not in jobs:
            jobs[key] = record.job
    backend.answered[node_id] = (seen.session, backend.reactor.turn(node_id))
    return SyncResponse(
        cluster_id=cluster.id,
        seq=seen.seq,
        commit=backend.reactor.commit,
        lease_seconds=cluster.lease,
        fence_seconds=cluster.fence,
        assignments=tuple(assignments),
        jobs=tuple(jobs.values()),
    )


def assignment_of(execution: ExecutionRecord, record: JobRecord, *, is_followed: bool) -> Assignment:
    """What a node is told of an execution that it should run."""
    override = execution.override or Override()
    said = record.job.task.resources
    return Assignment(
        execution_id=execution.id,
        job_id=execution.job_id,
        job_version=execution.job_version,
        index=execution.index,
        count=record.width if record.targets else 0,
        attempt=execution.attempt,
        resources=said.changed_by(override.resources) if override.resources else None,
        execution_timeout=override.timeout,
        is_followed=is_followed,
    )


def session_node(backend: Backend, node_id: NodeId, session: str) -> NodeEntry:
    """The node that a session holds. Raises NodeRefusedError, SessionConflictError."""
    node = backend.reactor.cluster.nodes.get(node_id)
    if node is None:
        raise NodeRefusedError(node_id, is_known=False)
    if node.record.session != session:
        raise SessionConflictError(node_id, node.record.session)
    return node


@put(
    "/api/v1/agents/{node_id:str}/executions/{execution_id:str}/logs/{stream:str}",
    status_code=200,
    request_max_body_size=MAX_LOG,
)
async def put_log(
    request: HttpRequest,
    node_id: FromPath[str],
    execution_id: FromPath[str],
    stream: FromPath[str],
    backend: NamedDependency[Backend],
) -> Response[bytes]:
    """Keep a piece of a log; answers how many bytes of it are kept. Taken of lost and stopped executions too."""
    if stream not in tuple(Stream):
        message = f"log stream: found {stream!r}, allowed: {', '.join(Stream)}"
        raise InvalidRequestError(message)
    place = query(request.query_params, LogQueryString)
    execution = await own_execution(backend, request, node_id, execution_id)
    size = await backend.logbook.append(
        execution.id,
        Stream(stream),
        place.offset,
        await request.body(),
        marks_of(request.headers.get("x-shoal-marks", "")),
        is_gap=place.gap,
    )
    return Response(msgspec.json.encode({"Size": size}), media_type="application/json")


@put(
    "/api/v1/agents/{node_id:str}/executions/{execution_id:str}/result",
    status_code=200,
    request_max_body_size=None,
)
async def put_result(
    request: HttpRequest,
    node_id: FromPath[str],
    execution_id: FromPath[str],
    backend: NamedDependency[Backend],
) -> Response[bytes]:
    """Keep the archive of an execution's results; answers where it can be fetched."""
    execution = await own_execution(backend, request, node_id, execution_id)
    live = backend.reactor.cluster.executions
    if execution.id not in live:
        raise ResultGoneError(execution.id)
    await backend.results.keep(execution.id, execution.index, request.stream())
    if execution.id not in live:
        ended = await backend.reactor.store.execution(execution.id)
        if ended is None or ended.published is None:
            await backend.results.delete(execution.id)
        raise ResultGoneError(execution.id)
    backend.uploaded.add(execution.id)
    url = f"{base_url(request)}/api/v1/orchestrator/jobs/{execution.job_id}/results/{execution.index}.tar.gz"
    where = SpecConfig(type="urlDownload", params={"URL": url})
    return Response(msgspec.json.encode(where), media_type="application/json")


async def own_execution(backend: Backend, request: HttpRequest, node_id: str, execution_id: str) -> ExecutionRecord:
    """An execution of the node that asks.

    Raises NodeRefusedError, SessionConflictError, ExecutionNotFoundError, WrongNodeError.
    """
    session_node(backend, NodeId(node_id), request.headers.get("x-shoal-session", ""))
    execution = await backend.execution(ExecutionId(execution_id))
    if execution is None:
        raise ExecutionNotFoundError(execution_id)
    if execution.node_id != node_id:
        raise WrongNodeError(execution_id, node_id)
    return execution


def marks_of(header: str) -> list[LogMark]:
    """The marks that come with a piece of log. Raises InvalidRequestError."""
    if not header:
        return []
    try:
        return MARKS.decode(base64.b64decode(header, validate=True))
    except (binascii.Error, msgspec.MsgspecError) as error:
        message = f"X-Shoal-Marks: {error}"
        raise InvalidRequestError(message) from error
