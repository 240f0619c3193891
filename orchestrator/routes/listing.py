"""What belongs to a job and is listed from the store: history, executions, results."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from orchestrator.contract.api import ExecutionList, HistoryList, PagingToken, ResultList
from orchestrator.contract.execution import DesiredState
from orchestrator.contract.history import Level
from orchestrator.contract.ids import SECOND, ExecutionId, JobId, Timestamp, is_execution_id
from orchestrator.contract.job import ENDLESS, Job, JobState, JobStateType, SpecConfig
from orchestrator.core.cluster import JobEntry
from orchestrator.core.model import ExecutionRecord
from orchestrator.errors import ExecutionNotFoundError, InvalidRequestError, OrchestratorError
from orchestrator.routes.admission import link_key
from orchestrator.routes.backend import Backend
from orchestrator.routes.views import execution_of, history_of, next_token
from orchestrator.routes.wire import SLICE, HttpRequest, Listing, answer, query, stream_pages
from orchestrator.store.base import ExecutionQuery, HistoryQuery

HISTORY_PAGE = 100
EVENT_TYPES = {"": None, "all": None, "job": Level.JOB, "execution": Level.EXECUTION}
ORDERS = {
    "": "created_at",
    "created_at": "created_at",
    "create_time": "created_at",
    "modified_at": "modified_at",
    "modify_time": "modified_at",
}


class HistoryTokenError(OrchestratorError):
    """A paging token of a history is none."""

    status = 400
    code = "BadRequest"
    component = "JobStore"


class HistoryQueryString(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines of a history."""

    namespace: str = ""
    limit: Annotated[int, Meta(ge=0, lt=2**32)] = 0
    next_token: str = ""
    since: Annotated[int, Meta(ge=0, le=9_000_000_000)] = 0
    event_type: str = ""
    execution_id: str = ""
    job_version: Annotated[int, Meta(ge=0)] = 0
    all_job_versions: bool = False


class ExecutionsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which executions of a job."""

    namespace: str = ""
    job_version: Annotated[int, Meta(ge=0)] = 0
    all_job_versions: bool = False
    order_by: str = ""
    reverse: bool = False
    limit: Annotated[int, Meta(ge=0, lt=2**32)] = 0


@get("/api/v1/orchestrator/jobs/{job_id:str}/history", query=HistoryQueryString, answer=HistoryList)
async def list_history(
    request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]
) -> Response[bytes]:
    """A page of a job's history. The token is empty only when the job has ended and all was read."""
    asked = query(request.query_params, HistoryQueryString)
    kind = asked.event_type.lower()
    if kind not in EVENT_TYPES:
        message = f"event_type: found {asked.event_type!r}, allowed: all, job or execution"
        raise InvalidRequestError(message)
    entry = await backend.reactor.entry(job_id, asked.namespace)
    first, limit = 1, asked.limit
    if asked.next_token:
        try:
            token = PagingToken.decode(asked.next_token)
        except ValueError as error:
            message = f"invalid next token: {error}"
            raise HistoryTokenError(message) from error
        first, limit = token.offset, limit or token.limit
    is_terminal = await has_ended(backend, entry, asked.execution_id)
    lines, has_more = await backend.reactor.store.history(
        HistoryQuery(
            job_id=entry.id,
            version=asked.job_version or (0 if asked.all_job_versions else entry.record.job.version),
            level=EVENT_TYPES[kind],
            execution_prefix=asked.execution_id,
            since=Timestamp(asked.since * SECOND),
            first_seq=first,
            limit=limit or HISTORY_PAGE,
        )
    )
    if asked.execution_id and not lines:
        await refuse_unknown(backend, entry, asked.execution_id)
    following = lines[-1].seq + 1 if lines else first
    token_text = next_token(limit, following) if has_more or not is_terminal else ""
    items = tuple(history_of(line) for line in lines)
    return await answer(request, HistoryList(next_token=token_text, items=items))


async def has_ended(backend: Backend, entry: JobEntry, execution_id: str) -> bool:
    """Whether nothing will be added to the history of a job, or of the execution that a full id names."""
    if is_execution_id(execution_id):
        execution = await backend.execution(ExecutionId(execution_id))
        if execution is not None and execution.job_id == entry.id:
            return execution.state.is_terminal or execution.desired is DesiredState.STOPPED
    return entry.record.job.state.state_type.is_terminal


async def refuse_unknown(backend: Backend, entry: JobEntry, execution_id: str) -> None:
    """Raises ExecutionNotFoundError where no execution of a job has this id, or one that begins so."""
    if is_execution_id(execution_id):
        execution = await backend.execution(ExecutionId(execution_id))
        is_known = execution is not None and execution.job_id == entry.id
    else:
        begins = HistoryQuery(job_id=entry.id, execution_prefix=execution_id, limit=1)
        is_known = bool((await backend.reactor.store.history(begins))[0])
    if not is_known:
        raise ExecutionNotFoundError(execution_id)


async def first_history(backend: Backend, job: Job) -> HistoryList:
    """The first lines of a version's history."""
    query_ = HistoryQuery(job_id=job.id, version=job.version, limit=HISTORY_PAGE)
    lines, _ = await backend.reactor.store.history(query_)
    return HistoryList(next_token="", items=tuple(history_of(line) for line in lines))


@get("/api/v1/orchestrator/jobs/{job_id:str}/executions", query=ExecutionsQuery, answer=ExecutionList)
async def list_executions(request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]) -> Listing:
    """Executions of a job, each with its job."""
    asked = query(request.query_params, ExecutionsQuery)
    entry = await backend.reactor.entry(job_id, asked.namespace)
    version = asked.job_version or (0 if asked.all_job_versions else entry.record.job.version)
    order = asked.order_by.lower()
    ids = await backend.reactor.store.execution_ids(
        ExecutionQuery(
            job_id=entry.id,
            version=version,
            order_by=ORDERS.get(order, "created_at"),
            is_reversed=asked.reverse and order in ORDERS,
            limit=asked.limit,
        )
    )
    return await stream_pages(request, execution_pages(backend, entry, ids))


async def execution_items(backend: Backend, job: Job) -> list[bytes]:
    """All executions of one version of a job, as JSON."""
    entry = await backend.reactor.entry(job.id)
    ids = await backend.reactor.store.execution_ids(ExecutionQuery(job_id=job.id, version=job.version))
    return [item async for page in execution_pages(backend, entry, ids) for item in page]


async def execution_pages(backend: Backend, entry: JobEntry, ids: Sequence[ExecutionId]) -> AsyncIterator[list[bytes]]:
    """Executions of a job as JSON, each with its job, in pages: of very many, few are in memory at once."""
    jobs: dict[int, Snapshots] = {}
    async for page in record_pages(backend, ids):
        for version in {record.job_version for record in page} - jobs.keys():
            jobs[version] = await snapshots(backend, entry, version)
        yield [with_job(record, jobs[record.job_version]) for record in page]


async def record_pages(backend: Backend, ids: Sequence[ExecutionId]) -> AsyncIterator[list[ExecutionRecord]]:
    """Executions in the order of their ids, in pages."""
    for begin in range(0, len(ids), SLICE):
        page = ids[begin : begin + SLICE]
        found = {record.id: record for record in await backend.reactor.store.executions_by_id(page)}
        yield [found[one] for one in page if one in found]


class Snapshots(msgspec.Struct, frozen=True):
    """A version of a job, as JSON, as it was when its executions were made: the first of them began it."""

    began: Timestamp
    pending: bytes
    running: bytes


async def snapshots(backend: Backend, entry: JobEntry, version: int) -> Snapshots:
    """Those of one version, which has executions."""
    store = backend.reactor.store
    record = entry.record if entry.record.job.version == version else await store.job(entry.id, version)
    assert record is not None, "an execution without the version of its job"
    asked = ExecutionQuery(job_id=entry.id, version=version, order_by="created_at", is_reversed=False, limit=1)
    first = await backend.execution((await store.execution_ids(asked))[0])
    assert first is not None, "an execution that is listed and not kept"

    def encoded(state: JobStateType) -> bytes:
        return msgspec.json.encode(msgspec.structs.replace(record.job, state=JobState(state_type=state)))

    return Snapshots(first.created, encoded(JobStateType.PENDING), encoded(JobStateType.RUNNING))


def with_job(record: ExecutionRecord, jobs: Snapshots) -> bytes:
    """An execution as JSON, with its job, which is encoded already."""
    job = jobs.pending if record.created == jobs.began else jobs.running
    return msgspec.json.encode(execution_of(record))[:-1] + b',"Job":' + job + b"}"


@get("/api/v1/orchestrator/jobs/{job_id:str}/results", answer=ResultList)
async def list_results(request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]) -> Listing:
    """Where the results of a job are: one item a completed partition that has published any, in their order."""
    entry = await backend.reactor.entry(job_id, query(request.query_params, ExecutionsQuery).namespace)
    kind = entry.record.job.type
    if kind in ENDLESS:
        message = f"job type {kind} does not support results"
        raise InvalidRequestError(message)
    url_of = archive_urls(request, backend, entry.id)
    pages = (
        [msgspec.json.encode(place) for record in page if (place := published(record, url_of))]
        async for page in await accepted_pages(backend, entry)
    )
    return await stream_pages(request, pages, escapes=False)


async def accepted_pages(backend: Backend, entry: JobEntry) -> AsyncIterator[list[ExecutionRecord]]:
    """Executions whose success counts, of the job's version, by partition, in pages."""
    rows = await backend.reactor.store.partitions(entry.id, entry.record.job.version)
    return record_pages(backend, [row.accepted for row in rows if row.accepted])


def base_url(request: HttpRequest) -> str:
    """Where the client has reached us."""
    return str(request.base_url).rstrip("/")


def archive_urls(request: HttpRequest, backend: Backend, job_id: JobId) -> Callable[[ExecutionRecord], str]:
    """Where the archives of a job that we keep are, by the address that the client knows us by."""
    base = f"{base_url(request)}/api/v1/orchestrator/jobs/{job_id}/results"
    key = link_key(backend, job_id)
    shown = f"?key={key}" if key else ""
    return lambda record: f"{base}/{record.index}.tar.gz{shown}"


def published(record: ExecutionRecord, url_of: Callable[[ExecutionRecord], str]) -> SpecConfig | None:
    """Where an execution's results are; None = it has published none."""
    if record.published is None or not record.published.type:
        return None
    if record.published.type == "urlDownload":
        return SpecConfig(type="urlDownload", params={"URL": url_of(record)})
    return record.published
