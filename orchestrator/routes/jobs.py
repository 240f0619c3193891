"""Jobs: submit, list, get, stop, versions."""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, route
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta
from msgspec.structs import replace

from orchestrator.contract.api import GetJobResponse, JobList, PagingToken, PutJobResponse, StopJobResponse
from orchestrator.contract.decode import decode_job
from orchestrator.contract.job import Job
from orchestrator.contract.plan import Plan
from orchestrator.contract.selectors import LabelSelector
from orchestrator.core.cluster import JobEntry
from orchestrator.core.commands import Evaluated, Reply, Stop, Submit, Submitted
from orchestrator.core.model import JobRecord
from orchestrator.errors import InvalidJobError, InvalidRequestError, JobVersionNotFoundError
from orchestrator.routes import listing
from orchestrator.routes.acting import guarded_token, hold_to
from orchestrator.routes.admission import refuse_submission, visible_jobs
from orchestrator.routes.backend import Backend
from orchestrator.routes.plan import plan_of
from orchestrator.routes.views import next_token
from orchestrator.routes.wire import Envelope, HttpRequest, Listing, answer, body, decoded, query, stream, token_of
from orchestrator.store.base import JobQuery

ORDERS = ("created_at", "modified_at")
CLIENT_IDS = {
    "X-Bacalhau-InstanceID": "bacalhau.org/client.instance.id",
    "X-Bacalhau-InstallationID": "bacalhau.org/client.installation.id",
}
"""Headers that tell who submits a job, and the metadata that keeps it."""
Limit = Annotated[int, Meta(ge=0, lt=2**32)]
PAGE = 500
"""Jobs read from the store at a time."""


class SubmitRequest(Envelope, frozen=True, kw_only=True):
    """Body of a submission."""

    job: Any = None
    force: bool = False
    dry_run: bool = False


class StopRequest(Envelope, frozen=True, kw_only=True):
    """Body of a stop."""

    reason: str = ""
    if_cursor: str = ""
    """The `Cursor` of a dry run of stopping all partitions: refused where another number is unfinished by now."""


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs."""

    namespace: str = ""
    limit: Limit = 0
    order_by: str = ""
    reverse: bool = False
    labels: tuple[str, ...] = ()
    next_token: str = ""
    include: str = ""


class GetQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which version of a job, and what with it."""

    namespace: str = ""
    job_version: Limit = 0
    include: str = ""


class NameQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Where a job's name is looked up, and why it is stopped."""

    namespace: str = ""
    reason: str = ""


@route(
    "/api/v1/orchestrator/jobs",
    http_method=["PUT", "POST"],
    status_code=200,
    body=SubmitRequest,
    answer=PutJobResponse,
    other_answer=Plan,
)
async def submit_job(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """Submit a job, or a new version of the one of that name; with `DryRun` the answer is a `Plan`, problems included."""
    asked = await body(request, SubmitRequest)
    read = await decoded(request, decode_job, in_namespace(asked.job, asked.namespace))
    if read.job is not None:
        refuse_submission(request, read.job.namespace)
    if asked.dry_run:
        return await answer(request, await plan_of(backend, read))
    if read.job is None:
        raise InvalidJobError(read.problems)
    ids = {key: value for header, key in CLIENT_IDS.items() if (value := request.headers.get(header))}
    job = replace(read.job, meta=read.job.meta | ids)

    def encoded(reply: Reply) -> bytes:
        assert isinstance(reply, Submitted)
        return msgspec.json.encode(
            PutJobResponse(
                job_id=reply.job_id,
                evaluation_id=reply.evaluation_id,
                job_version=reply.version,
                warnings=read.warnings or None,
            )
        )

    command = Submit(job=job, is_forced=asked.force)
    token = token_of(request, asked.idempotency_token)
    return await answer(request, await backend.reactor.carry_out_once(command, token, encoded))


def in_namespace(job: Any, namespace: str) -> Any:
    """A job as plain data, in the namespace of its request where it names none itself."""
    if not namespace or not isinstance(job, dict):
        return job
    own = next((key for key in job if isinstance(key, str) and key.lower() == "namespace"), "Namespace")
    return job | {own: job.get(own) or namespace}


@get("/api/v1/orchestrator/jobs", query=ListQuery, answer=JobList)
async def list_jobs(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """Jobs, oldest first; `include=summary` adds the counts of each one's partitions."""
    asked = query(request.query_params, ListQuery)
    offset = 0
    if asked.next_token:
        try:
            token = PagingToken.decode(asked.next_token)
        except ValueError as error:
            raise InvalidRequestError(str(error)) from error
        asked = replace(asked, order_by=token.sort_by, reverse=token.is_reversed, limit=token.limit)
        offset = token.offset
    if asked.order_by and asked.order_by not in ORDERS:
        message = f"order_by: found {asked.order_by!r}, allowed: {' or '.join(ORDERS)}"
        raise InvalidRequestError(message)
    wanted = JobQuery(
        namespaces=(asked.namespace,) if asked.namespace not in ("", "*") else (),
        selector=selector_of(asked.labels),
        order_by=asked.order_by or ORDERS[0],
        is_reversed=asked.reverse,
        limit=asked.limit or PAGE,
        offset=offset,
    )
    has_summary = "summary" in asked.include.split(",")
    records, has_more = await visible_jobs(request, backend, wanted)
    if not asked.limit:
        while has_more:
            page, has_more = await visible_jobs(request, backend, replace(wanted, offset=offset + len(records)))
            records += page
    token_text = ""
    if has_more:
        following = offset + len(records)
        token_text = next_token(asked.limit, following, sort_by=asked.order_by, is_reversed=asked.reverse)
    items: list[bytes] = []
    for at, record in enumerate(records, 1):
        items.append(await item_of(backend, record, has_summary=has_summary))
        if at % PAGE == 0:
            await asyncio.sleep(0)
    head = b'{"NextToken":' + msgspec.json.encode(token_text) + b',"Items":['
    return await answer(request, head + b",".join(items) + b"]}")


async def item_of(backend: Backend, record: JobRecord, *, has_summary: bool) -> bytes:
    """A job of a list as JSON. A job in memory is as it is there."""
    known = backend.reactor.cluster.jobs.get(record.job.id)
    if not has_summary:
        return msgspec.json.encode(known.record.job if known else record.job)
    record, summary, progress = await backend.summaries.of(record)
    more = {"Summary": summary, "Progress": progress} | ({"Suspended": True} if record.is_suspended else {})
    return msgspec.json.encode(record.job)[:-1] + b"," + msgspec.json.encode(more)[1:]


def selector_of(labels: tuple[str, ...]) -> LabelSelector | None:
    """The label selector of a query. Raises InvalidRequestError."""
    try:
        return LabelSelector.parse(",".join(labels)) if labels else None
    except ValueError as error:
        raise InvalidRequestError(str(error)) from error


@get("/api/v1/orchestrator/jobs/{job_id:str}", query=GetQuery, answer=GetJobResponse)
async def get_job(request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]) -> Response[bytes]:
    """One job, with its history and executions where they are asked for."""
    asked = query(request.query_params, GetQuery)
    entry = await backend.reactor.entry(job_id, asked.namespace)
    job = await version_of(backend, entry, job_id, asked.job_version)
    content = b'{"Job":' + msgspec.json.encode(job)
    wanted = {word.strip() for word in asked.include.split(",")}
    if "history" in wanted:
        content += b',"History":' + msgspec.json.encode(await listing.first_history(backend, job))
    if "executions" in wanted:
        items = await listing.execution_items(backend, job)
        content += b',"Executions":{"NextToken":"","Items":[' + b",".join(items) + b"]}"
    return await answer(request, content + b"}")


async def version_of(backend: Backend, entry: JobEntry, wanted: str, version: int) -> Job:
    """A version of a job; 0 = the latest. Raises JobVersionNotFoundError."""
    if version in (0, entry.record.job.version):
        return entry.record.job
    record = await backend.reactor.store.job(entry.id, version)
    if record is None:
        raise JobVersionNotFoundError(wanted, version)
    return record.job


@delete(
    "/api/v1/orchestrator/jobs/{job_id:str}", status_code=200, query=NameQuery, body=StopRequest, answer=StopJobResponse
)
async def stop_job(request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]) -> Response[bytes]:
    """Stop a job."""
    asked, named = await body(request, StopRequest), query(request.query_params, NameQuery)
    reason = asked.reason or (named.reason if named.reason != "None" else "")
    entry = await backend.reactor.entry(job_id, asked.namespace or named.namespace)

    def encoded(reply: Reply) -> bytes:
        assert isinstance(reply, Evaluated)
        hold_to(asked.if_cursor, reply.count)
        return msgspec.json.encode(StopJobResponse(evaluation_id=reply.evaluation_id))

    command = Stop(job_id=entry.id, reason=reason)
    token = guarded_token(request, asked.idempotency_token, asked.if_cursor)
    return await answer(request, await backend.reactor.carry_out_once(command, token, encoded))


@get("/api/v1/orchestrator/jobs/{job_id:str}/versions", query=NameQuery, answer=JobList)
async def list_versions(request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]) -> Listing:
    """All versions of a job, ascending."""
    entry = await backend.reactor.entry(job_id, query(request.query_params, NameQuery).namespace)
    records = await backend.reactor.store.versions(entry.id)
    return await stream(request, (msgspec.json.encode(record.job) for record in records))
