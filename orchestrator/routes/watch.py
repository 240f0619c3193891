"""What changes in a job, as it changes: lines of JSON, each everything since the line before."""

import asyncio
from array import array
from collections.abc import AsyncIterator, Sequence

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream
from msgspec.structs import replace

from orchestrator.contract.partitions import STOPPING, Frame
from orchestrator.core.cluster import JobEntry
from orchestrator.errors import JobNotFoundError, StaleCursorError
from orchestrator.routes.backend import Backend
from orchestrator.routes.fields import Fields, parse_fields
from orchestrator.routes.packing import little_endian, saturated
from orchestrator.routes.views import summary_of
from orchestrator.routes.wire import HttpRequest, query
from orchestrator.watch import job_bell

PERIOD = 0.05
"""Seconds between two frames at least."""
HEARTBEAT = 10.0
"""Seconds of silence at most."""


class WatchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """From where on. Without `after`: from now."""

    namespace: str = ""
    after: str = ""
    fields: str = ""
    """As of the grid."""


@get("/api/v1/orchestrator/jobs/{job_id:str}/watch", query=WatchQuery, answer=Frame)
async def watch_job(request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]) -> Stream:
    """Deltas of a job after a cursor, without end. 410 when they are not known any more."""
    asked = query(request.query_params, WatchQuery)
    entry = await backend.reactor.entry(job_id, asked.namespace)
    commit = commit_of(backend, asked.after)
    if backend.reactor.changes(entry.id).since(commit) is None:
        raise StaleCursorError
    names = parse_fields(asked.fields)
    fields = Fields(backend, entry, names) if names else None
    return Stream(frames(backend, entry, commit, fields), media_type="application/x-ndjson")


def commit_of(backend: Backend, cursor: str) -> int:
    """The commit that a cursor names. Raises StaleCursorError for one of another process, or ahead."""
    if not cursor:
        return backend.reactor.commit
    start, _, number = cursor.partition(".")
    if start != backend.reactor.start_id or not (number.isascii() and number.isdigit() and len(number) < 19):
        raise StaleCursorError
    commit = int(number)
    if commit > backend.reactor.commit:
        raise StaleCursorError
    return commit


async def frames(backend: Backend, entry: JobEntry, commit: int, fields: Fields | None) -> AsyncIterator[bytes]:
    """Lines of JSON after `commit`; ends when the server ends, and with a line that says so when the job has another version."""
    reactor = backend.reactor
    known_nodes = 0
    yield line_of(Frame(cursor=f"{reactor.start_id}.{commit}"))
    with reactor.bells.listen(job_bell(entry.id)) as rung:
        while not backend.is_closing:
            rung.clear()
            try:
                newest = await reactor.entry(entry.id)
            except JobNotFoundError:
                return
            if newest is not entry:
                if newest.record.job.version != entry.record.job.version:
                    yield line_of(frame_of(backend, newest, (), 0))
                return
            log = reactor.changes(entry.id)
            at = reactor.commit
            changed = log.since(commit)
            if changed is None:
                return
            if log.last > commit:
                indices = sorted(changed)
                frame = frame_of(backend, entry, indices, known_nodes)
                known_nodes = len(entry.node_ids)
                commit = at
                if fields:
                    frame = replace(frame, **msgspec.structs.asdict(await fields.of(indices)))
                yield line_of(frame)
                await asyncio.sleep(PERIOD)
                continue
            commit = at
            try:
                async with asyncio.timeout(HEARTBEAT):
                    await rung.wait()
            except TimeoutError:
                yield line_of(Frame(cursor=backend.cursor()))


def frame_of(backend: Backend, entry: JobEntry, indices: Sequence[int], known_nodes: int) -> Frame:
    """Where these partitions stand now, and the job."""
    stopping = backend.stopping(entry)
    halted = frozenset(stopping)
    job = entry.record.job
    return Frame(
        cursor=backend.cursor(),
        indices=little_endian(array("I", indices)),
        states=bytes(entry.states[index] | (STOPPING if index in halted else 0) for index in indices),
        attempts=saturated([entry.attempts[index] for index in indices]),
        nodes=little_endian(array("H", (entry.nodes[index] for index in indices))),
        node_ids=tuple(entry.node_ids[known_nodes:]),
        summary=summary_of(entry, stopping),
        job_state=job.state.state_type,
        job_message=job.state.message,
        job_version=job.version,
    )


def line_of(frame: Frame) -> bytes:
    """A frame as a line."""
    return msgspec.json.encode(frame) + b"\n"
