"""What happened in the cluster: to jobs, executions and nodes, in one order."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from msgspec import Meta
from msgspec.structs import replace

from orchestrator.auth import Principal
from orchestrator.contract.history import Level
from orchestrator.contract.ids import ExecutionId, JobId, NodeId
from orchestrator.contract.overview import ClusterEvent, ClusterEvents
from orchestrator.core.model import Happening
from orchestrator.errors import InvalidRequestError
from orchestrator.routes.admission import EVENTS
from orchestrator.routes.backend import Backend
from orchestrator.routes.views import rfc3339
from orchestrator.routes.wire import HttpRequest, answer, query
from orchestrator.store.base import EventQuery
from orchestrator.watch import ANY_JOB, ANY_NODE

PAGE = 100
BEGINNING = (0, "", 0)
"""The place before everything."""


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which events. Without `after`: the newest."""

    after: str = ""
    limit: Annotated[int, Meta(ge=0, le=1000)] = 0
    wait: Annotated[float, Meta(ge=0, le=60)] = 0.0
    """Seconds that the answer may be held while there is nothing new."""


@get(EVENTS, query=EventsQuery, answer=ClusterEvents)
async def list_events(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """What happened after a cursor, oldest first; with `wait` held until there is something.

    A token that is confined to namespaces is told what happened to their jobs.
    """
    asked = query(request.query_params, EventsQuery)
    who: Principal = request.scope["user"]
    after = place_of(asked.after) if asked.after else None
    wanted = EventQuery(after=after, namespaces=who.namespaces, limit=asked.limit or PAGE)
    store = backend.reactor.store
    lines: list[Happening] = []
    bells = backend.reactor.bells
    try:
        async with asyncio.timeout(asked.wait or None):
            with bells.listen(ANY_JOB, ANY_NODE) as rung:
                while True:
                    rung.clear()
                    newest = await store.events(EventQuery(limit=1)) if who.namespaces else ()
                    lines = await store.events(wanted)
                    if newest and not lines:
                        wanted = replace(wanted, after=max(wanted.after or BEGINNING, (newest[0].time, "", 0)))
                    if lines or not asked.wait or backend.is_closing:
                        break
                    await rung.wait()
    except TimeoutError:
        pass
    nodes = await nodes_of(backend, lines)
    items = tuple(event_of(backend, line, nodes.get(line.execution_id, "")) for line in lines)
    time, job_id, seq = (lines[-1].time, lines[-1].job_id, lines[-1].seq) if lines else wanted.after or BEGINNING
    return await answer(request, ClusterEvents(cursor=f"{time}.{seq}.{job_id}", items=items))


def place_of(cursor: str) -> tuple[int, str, int]:
    """Time, job and number of the line that a cursor names. Raises InvalidRequestError."""
    time, _, rest = cursor.partition(".")
    seq, dot, job_id = rest.partition(".")
    if not dot or not all(
        part.isascii() and part.isdigit() and len(part) < 19 + (part is time) for part in (time, seq)
    ):
        message = f"after: found {cursor[:60]!r}, allowed: the Cursor of an answer of this route"
        raise InvalidRequestError(message)
    if int(time) >= 2**63:
        message = f"after: found the time {time}, allowed: the Cursor of an answer of this route"
        raise InvalidRequestError(message)
    return int(time), job_id, int(seq)


async def nodes_of(backend: Backend, lines: Sequence[Happening]) -> dict[ExecutionId, NodeId]:
    """The nodes of the executions that lines are about."""
    ids = {line.execution_id for line in lines if line.execution_id}
    live = backend.reactor.cluster.executions
    ended = await backend.reactor.store.executions_by_id(sorted(ids - live.keys()))
    return {one.id: one.node_id for one in (*ended, *(live[key] for key in ids if key in live))}


def event_of(backend: Backend, line: Happening, node: str) -> ClusterEvent:
    """A line of history as an event; `node` is that of its execution."""
    entry = backend.reactor.cluster.jobs.get(line.job_id)
    return ClusterEvent(
        time=rfc3339(line.time),
        type=line.level,
        topic=line.topic,
        message=line.message,
        job_id=JobId(line.job_id),
        job_name=entry.record.job.name if entry else "",
        job_version=line.job_version,
        execution_id=line.execution_id,
        partition=line.index if line.level is Level.EXECUTION and line.index >= 0 else None,
        node_id=NodeId(node or line.details.get("NodeID", "")),
        details=line.details,
    )
