"""What programs for Bacalhau 1.3 and before ask, its Airflow operator among them: submit, cancel, list, states, events, results.

All are a POST with everything in the body. Which job is meant is in there, so that these routes see to namespaces themselves.
"""

import asyncio
import base64
import hashlib
import io
import tarfile
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from msgspec import Meta, field
from msgspec.structs import replace

from orchestrator.auth import LEGACY, Principal
from orchestrator.contract.api import Problem
from orchestrator.contract.decode import decode_body, decode_job
from orchestrator.contract.history import Level
from orchestrator.contract.ids import SECOND, Timestamp
from orchestrator.contract.legacy_job import LegacyPayload, as_sent, modern, result_inputs, squeezed
from orchestrator.contract.spec import Spec
from orchestrator.core.cluster import JobEntry
from orchestrator.core.commands import Stop, Submit, Submitted
from orchestrator.core.model import ExecutionRecord
from orchestrator.errors import InvalidJobError, InvalidRequestError
from orchestrator.routes.admission import entry_among, refuse_other, refuse_submission, visible_jobs
from orchestrator.routes.auth import is_signed, public_key, unpacked
from orchestrator.routes.backend import Backend
from orchestrator.routes.legacy_views import CLIENT, Shown, events_of, execution_of, job_of, result_of, state_of
from orchestrator.routes.listing import accepted_pages, archive_urls, record_pages
from orchestrator.routes.partitions import accepted_of, attempts_of
from orchestrator.routes.results import ResultNotFoundError, reason_of
from orchestrator.routes.wire import SLICE, HttpRequest, Listing, answer, decoded, plain_body, stream_pages, struct_of
from orchestrator.store.base import ExecutionQuery, HistoryQuery, JobQuery

Body = TypeVar("Body", bound=Spec)

READ, WRITE = "read:job", "write:job"
MOST_EVENTS = 1000
"""Lines of each level that are told of a job, the first of them: operators ask for all of them every two seconds."""
MOST_RESULTS = 1_000_000
"""Bytes, packed, of results that a job may have as its input: they become a part of it."""
MOST_UNPACKED = 100_000_000
MOST_FILES = 10_000
"""Members of the archives; what is known of each takes memory."""


class SignedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request with who made it: the payload is signed byte by byte, with the key whose SHA-256 is the client's id."""

    payload: msgspec.Raw
    signature: str = ""
    client_public_key: str = ""


class Cancel(Spec, frozen=True, kw_only=True):
    """What is signed to stop a job."""

    client_id: str
    job_id: str
    reason: str = ""


class EventFilters(Spec, frozen=True, kw_only=True):
    """Which lines of a history."""

    since: Annotated[int, Meta(ge=0, le=9_000_000_000)] = 0
    exclude_execution_level: bool = False
    exclude_job_level: bool = False


class OfJob(Spec, frozen=True, kw_only=True):
    """A request about one job."""

    client_id: str = ""
    job_id: str
    filters: EventFilters = EventFilters()


class ListRequest(Spec, frozen=True, kw_only=True):
    """Which jobs: those of a client, unless all are wanted, or the one of an id."""

    client_id: str = ""
    id: str = ""
    include_tags: tuple[str, ...] = ()
    exclude_tags: tuple[str, ...] = ()
    max_jobs: Annotated[int, Meta(ge=0, lt=2**32)] = 0
    return_all: bool = False
    sort_by: str = ""
    sort_reverse: bool = False


class JobAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A job that was submitted."""

    job: dict[str, Any]


class StateAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Where a job stands."""

    state: dict[str, Any]


class JobsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs, each with its state."""

    jobs: list[dict[str, Any]]


class EventsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The history of a job."""

    events: list[dict[str, Any]]


class ResultsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Where results are."""

    results: list[dict[str, Any]] = field(default_factory=list)


@post([f"{one}/submit" for one in LEGACY], status_code=200, body=SignedRequest, answer=JobAnswer)
async def submit(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """Submit a job as versions up to 1.3 say it. Its concurrency is the number of its partitions."""
    payload = await signed(request, LegacyPayload)
    who: Principal = request.scope["user"]
    spec = payload.spec
    results = {}
    rest = MOST_RESULTS
    for path, wanted in (await decoded(request, result_inputs, spec)).items():
        packed = await packed_results(request, backend, wanted, rest)
        rest -= len(packed)
        results[path] = "data:application/gzip;base64," + base64.b64encode(packed).decode()
    plain, problems = await decoded(request, modern, spec, results)
    plain["Namespace"] = "default" if who.may_use("default") else who.namespaces[0]
    read = await decoded(request, decode_job, plain)
    problems = problems or as_sent(read.problems, spec)
    if read.job is None or problems:
        raise InvalidJobError(problems)
    refuse_submission(request, read.job.namespace)
    job = replace(read.job, meta={CLIENT: payload.client_id})
    reply = await backend.reactor.carry_out(Submit(job=job))
    assert isinstance(reply, Submitted)
    entry = await backend.reactor.entry(reply.job_id)
    return await answer(request, JobAnswer(job=job_of(entry.record.job, backend.info.node_id)))


@post([f"{one}/cancel" for one in LEGACY], status_code=200, body=SignedRequest, answer=StateAnswer)
async def cancel(request: HttpRequest, backend: NamedDependency[Backend]) -> Listing:
    """Stop a job. Whose it is does not matter, but what the role may do."""
    asked = await signed(request, Cancel)
    entry = await entry_for(request, backend, asked.job_id, WRITE)
    await backend.reactor.carry_out(Stop(job_id=entry.id, reason=asked.reason))
    return await standing(request, backend, await backend.reactor.entry(entry.id))


@post([f"{one}/states" for one in LEGACY], status_code=200, body=OfJob, answer=StateAnswer)
async def states(request: HttpRequest, backend: NamedDependency[Backend]) -> Listing:
    """Where a job stands, and each of its executions."""
    entry = await entry_for(request, backend, (await asked_for(request, OfJob)).job_id, READ)
    return await standing(request, backend, entry)


@post([f"{one}/events" for one in LEGACY], status_code=200, body=OfJob, answer=EventsAnswer)
async def events(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """The history of a job: the first thousand lines of itself, and as many of its executions."""
    asked = await asked_for(request, OfJob)
    entry = await entry_for(request, backend, asked.job_id, READ)
    return await answer(request, EventsAnswer(events=await told(backend, entry, asked.filters)))


@post([f"{one}/results" for one in LEGACY], status_code=200, body=OfJob, answer=ResultsAnswer)
async def results(request: HttpRequest, backend: NamedDependency[Backend]) -> Listing:
    """Where the results of a job are, and what a later job calls them as its input."""
    entry = await entry_for(request, backend, (await asked_for(request, OfJob)).job_id, READ)
    url_of = archive_urls(request, backend, entry.id)
    pages = (
        [
            msgspec.json.encode(result_of(record, url_of(record)))
            for record in page
            if record.published is not None and record.published.type == "urlDownload"
        ]
        async for page in await accepted_pages(backend, entry)
    )
    return await stream_pages(request, pages, (b'{"results":[', b"]}\n"), escapes=False)


@post([f"{one}/list" for one in LEGACY], status_code=200, body=ListRequest, answer=JobsAnswer)
async def list_jobs(request: HttpRequest, backend: NamedDependency[Backend]) -> Listing:
    """Jobs with their states; the one of an id also with its executions and history."""
    asked = await asked_for(request, ListRequest)
    if asked.id:
        entry = await entry_for(request, backend, asked.id, READ)
        job = job_of(entry.record.job, backend.info.node_id)
        history = await told(backend, entry, EventFilters())
        return await standing(
            request, backend, entry, lambda state: JobsAnswer(jobs=[{"Job": job, "History": history, "State": state}])
        )
    if asked.sort_by not in ("", "created_at"):
        message = f"sort_by: found {asked.sort_by[:60]!r}, allowed: created_at"
        raise InvalidRequestError(message)
    return await stream_pages(request, job_pages(request, backend, asked), (b'{"jobs":[', b"]}\n"))


async def job_pages(request: HttpRequest, backend: Backend, asked: ListRequest) -> AsyncIterator[list[bytes]]:
    """Jobs of a list as JSON, in pages."""
    wanted = JobQuery(is_reversed=asked.sort_reverse, limit=SLICE)
    rest = asked.max_jobs or 2**32
    client = "" if asked.return_all else asked.client_id
    included, excluded = frozenset(asked.include_tags), frozenset(asked.exclude_tags)
    has_more = True
    while has_more and rest:
        records, has_more = await visible_jobs(request, backend, wanted)
        wanted = replace(wanted, offset=wanted.offset + len(records))
        jobs = [
            job
            for job in (record.job for record in records)
            if (not client or job.meta.get(CLIENT) == client)
            and job.labels.keys() >= included
            and excluded.isdisjoint(job.labels)
        ][:rest]
        rest -= len(jobs)
        requester = backend.info.node_id
        yield [
            msgspec.json.encode({"Job": job_of(job, requester), "State": state_of(job), "History": []}) for job in jobs
        ]


async def entry_for(request: HttpRequest, backend: Backend, wanted: str, right: str) -> JobEntry:
    """The job that is meant. Raises JobNotFoundError, AmbiguousJobError, ForbiddenError."""
    who: Principal = request.scope["user"]
    entry = await entry_among(backend, wanted, who.namespaces or ("",))
    refuse_other(who, entry.record.job.namespace, right)
    return entry


async def asked_for(request: HttpRequest, into: type[Body]) -> Body:
    """The body of a request. Raises InvalidRequestError, MediaTypeError."""
    return await decoded(request, asked_in, await plain_body(request), into)


def asked_in(plain: object, into: type[Body], *, is_strict: bool = False) -> Body:
    """Plain data as a request. Raises InvalidRequestError."""
    return struct_of(squeezed(plain), into, is_strict=is_strict)


async def signed(request: HttpRequest, into: type[Body]) -> Body:
    """The payload of a request, whose signature is good and whose client is the one that the key makes.

    Raises InvalidRequestError, MediaTypeError.
    """
    await plain_body(request)  # what is no JSON, or too deep, is told there
    return await decoded(request, signed_in, await request.body(), into)


def signed_in(content: bytes, into: type[Body]) -> Body:
    """The payload of the JSON of a signed request. Raises InvalidRequestError."""
    try:
        envelope = msgspec.json.decode(content or b"{}", type=SignedRequest)
    except msgspec.MsgspecError as error:
        message = f"the body is no signed request: {error}"
        raise InvalidRequestError(message) from error
    payload = bytes(envelope.payload)
    try:
        modulus, exponent = public_key(unpacked(envelope.client_public_key))
        signature = unpacked(envelope.signature)
    except ValueError as error:
        message = f"signature and client_public_key: base64 of an RSA signature and of its key in PKCS #1: {error}"
        raise InvalidRequestError(message) from error
    if not is_signed(payload, signature, modulus, exponent):
        message = (
            "signature: found one of something else, allowed: that of the payload, byte by byte, by client_public_key"
        )
        raise InvalidRequestError(message)
    asked = asked_in(decode_body(payload), into, is_strict=True)
    client = hashlib.sha256(modulus.to_bytes((modulus.bit_length() + 7) // 8, "big")).hexdigest()
    if getattr(asked, "client_id", "") != client:
        message = f"payload.ClientID: found that of another key, allowed: {client}, which client_public_key makes"
        raise InvalidRequestError(message)
    return asked


async def standing(
    request: HttpRequest,
    backend: Backend,
    entry: JobEntry,
    shape: Callable[[Shown], msgspec.Struct] = lambda state: StateAnswer(state=state),
) -> Listing:
    """Where a job and all executions of its version stand, as they are read: in an answer in which the state is last."""
    job = entry.record.job
    ids = await backend.reactor.store.execution_ids(ExecutionQuery(job_id=job.id, version=job.version))
    before, _, after = msgspec.json.encode(shape(state_of(job))).rpartition(b"[]")
    pages = (
        [msgspec.json.encode(execution_of(record)) for record in page] async for page in record_pages(backend, ids)
    )
    return await stream_pages(request, pages, (before + b"[", b"]" + after + b"\n"))


async def told(backend: Backend, entry: JobEntry, filters: EventFilters) -> list[Shown]:
    """The history of a job's version."""
    job = entry.record.job
    asked = HistoryQuery(job_id=job.id, version=job.version, since=Timestamp(filters.since * SECOND), limit=MOST_EVENTS)
    lines = []
    for level, is_left_out in (
        (Level.JOB, filters.exclude_job_level),
        (Level.EXECUTION, filters.exclude_execution_level),
    ):
        if not is_left_out:
            page, _ = await backend.reactor.store.history(replace(asked, level=level))
            lines += page
    shown = events_of(job, sorted(lines, key=lambda line: line.seq), asked.since)
    return [one for one in shown if not (filters.exclude_job_level and one["Type"] == Level.JOB)]


async def packed_results(request: HttpRequest, backend: Backend, wanted: Sequence[tuple[str, int]], most: int) -> bytes:
    """One archive of the results of these partitions: of one as it is, of several each in a directory of its own.

    Raises InvalidJobError, and what finding them does.
    """
    archives: list[tuple[ExecutionRecord, bytes]] = []
    if len({index for _, index in wanted}) < len(wanted):
        found, allowed = (
            "results of one partition twice at one path",
            "each partition once: another path for other jobs",
        )
        raise InvalidJobError([Problem(path="Spec.inputs", found=found, allowed=allowed)])
    for job_id, index in wanted:
        entry = await entry_for(request, backend, job_id, READ)
        accepted = accepted_of(entry, index, await attempts_of(backend, entry, index))
        archive = await backend.results.get(accepted.id) if accepted else None
        if accepted is None or archive is None:
            raise ResultNotFoundError(reason_of(backend, entry, index, has_success=accepted is not None))
        most -= archive.size
        if most < 0:
            raise too_large(MOST_RESULTS, "bytes, packed")
        archives.append((accepted, b"".join([piece async for piece in archive.content])))
    try:
        return await asyncio.to_thread(merged, archives)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        allowed = "results whose archive can be read"
        raise InvalidJobError([Problem(path="Spec.inputs", found=str(error)[:200], allowed=allowed)]) from error


def merged(archives: Sequence[tuple[ExecutionRecord, bytes]]) -> bytes:
    """The archives of executions as one. Raises InvalidJobError. Blocks."""
    made = io.BytesIO()
    total = members = 0
    with tarfile.open(fileobj=made, mode="w:gz") as target:
        for record, packed in archives:
            place = f"partition-{record.index}/"
            with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as source:
                for member in source:
                    total += member.size
                    members += 1
                    if total > MOST_UNPACKED:
                        raise too_large(MOST_UNPACKED, "bytes, unpacked")
                    if members > MOST_FILES:
                        raise too_large(MOST_FILES, "files and directories")
                    if len(archives) == 1:
                        member.name = f"{member.name}/".removeprefix(place).rstrip("/")
                        member.linkname = member.linkname.removeprefix(place) if member.islnk() else member.linkname
                    if member.name:
                        target.addfile(member, source.extractfile(member) if member.isreg() else None)
    return made.getvalue()


def too_large(most: int, what: str) -> InvalidJobError:
    """Results are too large to become a part of a job."""
    allowed = f"{most}: others a program fetches itself, from the URL in `results`"
    return InvalidJobError([Problem(path="Spec.inputs", found=f"results of more than {most} {what}", allowed=allowed)])
