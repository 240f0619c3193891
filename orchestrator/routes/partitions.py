"""Partitions of a job: the packed grid, rows, one with its attempts; retry and stop of a selection."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta
from msgspec.structs import replace

from orchestrator.contract.api import PagingToken
from orchestrator.contract.execution import ExecutionState
from orchestrator.contract.partitions import Grid, PartitionDetail, PartitionState, Row, Rows
from orchestrator.core.cluster import JobEntry
from orchestrator.core.model import NEVER, ExecutionRecord
from orchestrator.errors import InvalidRequestError, PartitionNotFoundError
from orchestrator.routes.backend import Backend
from orchestrator.routes.fields import Fields, parse_fields
from orchestrator.routes.packing import little_endian, saturated
from orchestrator.routes.views import attempt_of, next_token, rfc3339, row_of, state_byte, summary_of
from orchestrator.routes.wire import HttpRequest, answer, query
from orchestrator.selection import parse, select
from orchestrator.store.base import ExecutionQuery

PAGE = 1000
MOST_ROWS = 10_000
"""Rows of a page: unless asked for, and at most."""


class PartitionsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of which partitions. Without `select`: the packed grid."""

    namespace: str = ""
    select: str = ""
    limit: Annotated[int, Meta(ge=0, le=MOST_ROWS)] = 0
    next_token: str = ""
    fields: str = ""
    """Of the grid beside states: `Started`, `Finished`, `Failure`, with commas."""


@get("/api/v1/orchestrator/jobs/{job_id:str}/partitions", query=PartitionsQuery, answer=Grid)
async def get_partitions(
    request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]
) -> Response[bytes]:
    """The packed grid of a job, or with `select` rows of some of its partitions."""
    asked = query(request.query_params, PartitionsQuery)
    entry = await backend.reactor.entry(job_id, asked.namespace)
    names = parse_fields(asked.fields)
    if not asked.select:
        grid = grid_of(backend, entry)
        if names:  # read after the grid: newer values come again with the deltas after its cursor
            more = await Fields(backend, entry, names).of()
            grid = replace(grid, origin=rfc3339(entry.record.job.create_time), **msgspec.structs.asdict(more))
        return await answer(request, grid)
    first = token_offset(asked.next_token)
    limit = asked.limit or PAGE
    selection = parse(asked.select)
    indices = await select(backend.reactor.store, entry, backend.stopping(entry), selection, backend.now())
    rest = [index for index in indices if index >= first]
    page = rest[:limit]
    token = next_token(limit, rest[limit]) if len(rest) > limit else ""
    return await answer(request, Rows(next_token=token, items=tuple(await rows_of(backend, entry, page))))


def token_offset(text: str) -> int:
    """The index at which a page of partitions begins. Raises InvalidRequestError."""
    try:
        return PagingToken.decode(text).offset if text else 0
    except ValueError as error:
        raise InvalidRequestError(str(error)) from error


async def rows_of(backend: Backend, entry: JobEntry, indices: Sequence[int]) -> list[Row]:
    """Partitions as text."""
    job = entry.record.job
    last = {
        record.index: record for record in await backend.reactor.store.last_executions(job.id, job.version, indices)
    }
    cluster = backend.reactor.cluster
    return [row_of(entry, index, state_byte(cluster, entry, index), last.get(index)) for index in indices]


def grid_of(backend: Backend, entry: JobEntry) -> Grid:
    """All partitions of a job, packed."""
    job = entry.record.job
    stopping = backend.stopping(entry)
    return Grid(
        cursor=backend.cursor(),
        job_id=job.id,
        job_version=job.version,
        count=entry.record.width,
        states=entry.packed_states(stopping),
        attempts=saturated(entry.attempts),
        nodes=little_endian(entry.nodes),
        node_ids=tuple(entry.node_ids),
        summary=summary_of(entry, stopping),
        job_state=job.state.state_type,
        job_message=job.state.message,
    )


@get("/api/v1/orchestrator/jobs/{job_id:str}/partitions/{index:int}", answer=PartitionDetail)
async def get_partition(
    request: HttpRequest, job_id: FromPath[str], index: FromPath[int], backend: NamedDependency[Backend]
) -> Response[bytes]:
    """One partition with all its attempts."""
    entry = await backend.reactor.entry(job_id, query(request.query_params, PartitionsQuery).namespace)
    job = entry.record.job
    records = await attempts_of(backend, entry, index)
    accepted = accepted_of(entry, index, records)
    state = state_byte(backend.reactor.cluster, entry, index)
    due = entry.due.get(index, NEVER)
    detail = PartitionDetail(
        job_id=job.id,
        job_version=job.version,
        partition=row_of(entry, index, state, records[-1] if records else None),
        attempts=tuple(attempt_of(record, is_accepted=record is accepted) for record in records),
        retry_at=rfc3339(due) if due > backend.now() else "",
    )
    return await answer(request, detail)


def accepted_of(entry: JobEntry, index: int, attempts: Sequence[ExecutionRecord]) -> ExecutionRecord | None:
    """Of the attempts of a partition, oldest first: the one whose success was accepted."""
    if entry.states[index] != PartitionState.COMPLETED:
        return None
    return next((one for one in reversed(attempts) if one.state is ExecutionState.COMPLETED), None)


async def attempts_of(backend: Backend, entry: JobEntry, index: int) -> list[ExecutionRecord]:
    """The attempts of a partition, oldest first. Raises PartitionNotFoundError."""
    check_index(entry, index)
    wanted = ExecutionQuery(job_id=entry.id, version=entry.record.job.version, index=index)
    return sorted(await backend.reactor.store.executions(wanted), key=lambda record: record.attempt)


def check_index(entry: JobEntry, index: int) -> None:
    """Raises PartitionNotFoundError for a partition that the job does not have."""
    count = entry.record.width
    if not 0 <= index < count:
        raise PartitionNotFoundError(entry.id, index, count)
