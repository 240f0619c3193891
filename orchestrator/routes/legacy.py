"""What programs for Bacalhau 1.3 and before ask, its Airflow operator among them: submit, cancel, list, states, events, results.

All are a POST with everything in the body. Which job is meant is in there, so that these routes see to namespaces themselves.
"""

import asyncio
import base64
import hashlib
import io
import tarfile
import zlib
from collections.abc import Sequence
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
from orchestrator.core.model import ExecutionRecord, JobRecord
from orchestrator.errors import InvalidJobError, InvalidRequestError
from orchestrator.routes.admission import entry_among, link_key, refuse_other, refuse_submission, visible_jobs
from orchestrator.routes.auth import is_signed, public_key, unpacked
from orchestrator.routes.backend import Backend
from orchestrator.routes.legacy_views import CLIENT, Shown, events_of, execution_of, job_of, result_of, state_of
from orchestrator.routes.listing import accepted_executions, base_url
from orchestrator.routes.partitions import accepted_of, attempts_of
from orchestrator.routes.results import ResultNotFoundError, reason_of
from orchestrator.routes.wire import SLICE, HttpRequest, answer, decoded, plain_body, struct_of
from orchestrator.store.base import ExecutionQuery, HistoryQuery, JobQuery

Body = TypeVar("Body", bound=Spec)

READ, WRITE = "read:job", "write:job"
MOST_EVENTS = 1000
"""Lines of executions that are told of a job, the first of them: operators ask for all of them every two seconds."""
MOST_RESULTS = 1_000_000
"""Bytes, packed, of results that a job may have as its input: they become a part of it."""
MOST_UNPACKED = 100_000_000
PAGE = 500


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
    for path, wanted in result_inputs(spec).items():
        packed = await packed_results(request, backend, wanted, rest)
        rest -= len(packed)
        results[path] = "data:application/gzip;base64," + base64.b64encode(packed).decode()
    plain, problems = modern(spec, results)
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
async def cancel(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """Stop a job. Whose it is does not matter, but what the role may do."""
    asked = await signed(request, Cancel)
    entry = await entry_for(request, backend, asked.job_id, WRITE)
    await backend.reactor.carry_out(Stop(job_id=entry.id, reason=asked.reason))
    entry = await backend.reactor.entry(entry.id)
    return await answer(request, StateAnswer(state=await stand_of(backend, entry)))


@post([f"{one}/states" for one in LEGACY], status_code=200, body=OfJob, answer=StateAnswer)
async def states(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """Where a job stands, and each of its executions."""
    entry = await entry_for(request, backend, (await asked_for(request, OfJob)).job_id, READ)
    return await answer(request, StateAnswer(state=await stand_of(backend, entry)))


@post([f"{one}/events" for one in LEGACY], status_code=200, body=OfJob, answer=EventsAnswer)
async def events(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """The history of a job: of itself all, of its executions the first thousand lines."""
    asked = await asked_for(request, OfJob)
    entry = await entry_for(request, backend, asked.job_id, READ)
    return await answer(request, EventsAnswer(events=await told(backend, entry, asked.filters)))


@post([f"{one}/results" for one in LEGACY], status_code=200, body=OfJob, answer=ResultsAnswer)
async def results(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """Where the results of a job are, and what a later job calls them as its input."""
    entry = await entry_for(request, backend, (await asked_for(request, OfJob)).job_id, READ)
    base = f"{base_url(request)}/api/v1/orchestrator/jobs/{entry.id}/results"
    key = link_key(backend, entry.id)
    shown = f"?key={key}" if key else ""
    found = [
        result_of(record, f"{base}/{record.index}.tar.gz{shown}")
        for record in await accepted_executions(backend, entry)
        if record.published is not None and record.published.type == "urlDownload"
    ]
    return await answer(request, ResultsAnswer(results=found), escapes=False)


@post([f"{one}/list" for one in LEGACY], status_code=200, body=ListRequest, answer=JobsAnswer)
async def list_jobs(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """Jobs with their states; the one of an id also with its executions and history."""
    asked = await asked_for(request, ListRequest)
    requester = backend.info.node_id
    if asked.id:
        entry = await entry_for(request, backend, asked.id, READ)
        state = await stand_of(backend, entry)
        history = await told(backend, entry, EventFilters())
        one = {"Job": job_of(entry.record.job, requester), "State": state, "History": history}
        return await answer(request, JobsAnswer(jobs=[one]))
    if asked.sort_by not in ("", "created_at"):
        message = f"sort_by: found {asked.sort_by[:60]!r}, allowed: created_at"
        raise InvalidRequestError(message)
    wanted = JobQuery(is_reversed=asked.sort_reverse, limit=PAGE)
    found: list[Shown] = []
    has_more = True
    while has_more and not (asked.max_jobs and len(found) >= asked.max_jobs):
        records, has_more = await visible_jobs(request, backend, wanted)
        wanted = replace(wanted, offset=wanted.offset + len(records))
        found += [
            {"Job": job_of(record.job, requester), "State": state_of(record.job, []), "History": []}
            for record in records
            if is_wanted(record, asked)
        ]
        await asyncio.sleep(0)
    return await answer(request, JobsAnswer(jobs=found[: asked.max_jobs or None]))


def is_wanted(record: JobRecord, asked: ListRequest) -> bool:
    """Whether a job is in a list."""
    job = record.job
    if not asked.return_all and asked.client_id and job.meta.get(CLIENT) != asked.client_id:
        return False
    return all(tag in job.labels for tag in asked.include_tags) and not any(t in job.labels for t in asked.exclude_tags)


async def entry_for(request: HttpRequest, backend: Backend, wanted: str, right: str) -> JobEntry:
    """The job that is meant. Raises JobNotFoundError, AmbiguousJobError, ForbiddenError."""
    who: Principal = request.scope["user"]
    entry = await entry_among(backend, wanted, who.namespaces or ("",))
    refuse_other(who, entry.record.job.namespace, right)
    return entry


async def asked_for(request: HttpRequest, into: type[Body]) -> Body:
    """The body of a request. Raises InvalidRequestError, MediaTypeError."""
    return struct_of(squeezed(await plain_body(request)), into)


async def signed(request: HttpRequest, into: type[Body]) -> Body:
    """The payload of a request, whose signature is good and whose client is the one that the key makes.

    Raises InvalidRequestError, MediaTypeError.
    """
    await plain_body(request)  # what is no JSON, or too deep, is told there
    try:
        envelope = msgspec.json.decode(await request.body() or b"{}", type=SignedRequest)
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
    asked = struct_of(squeezed(decode_body(payload)), into, is_strict=True)
    client = hashlib.sha256(modulus.to_bytes((modulus.bit_length() + 7) // 8, "big")).hexdigest()
    if getattr(asked, "client_id", "") != client:
        message = f"payload.ClientID: found that of another key, allowed: {client}, which client_public_key makes"
        raise InvalidRequestError(message)
    return asked


async def stand_of(backend: Backend, entry: JobEntry) -> Shown:
    """Where a job and all executions of its version stand."""
    job = entry.record.job
    ids = await backend.reactor.store.execution_ids(ExecutionQuery(job_id=job.id, version=job.version))
    shown: list[Shown] = []
    for begin in range(0, len(ids), SLICE):
        page = ids[begin : begin + SLICE]
        found = {record.id: record for record in await backend.reactor.store.executions_by_id(page)}
        shown += [execution_of(found[one]) for one in page if one in found]
        await asyncio.sleep(0)
    return state_of(job, shown)


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
            raise too_large(MOST_RESULTS, "packed")
        archives.append((accepted, b"".join([piece async for piece in archive.content])))
    try:
        return await asyncio.to_thread(merged, archives)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        allowed = "results whose archive can be read"
        raise InvalidJobError([Problem(path="Spec.inputs", found=str(error)[:200], allowed=allowed)]) from error


def merged(archives: Sequence[tuple[ExecutionRecord, bytes]]) -> bytes:
    """The archives of executions as one. Raises InvalidJobError. Blocks."""
    made = io.BytesIO()
    total = 0
    with tarfile.open(fileobj=made, mode="w:gz") as target:
        for record, packed in archives:
            place = f"partition-{record.index}/"
            with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as source:
                for member in source:
                    total += member.size
                    if total > MOST_UNPACKED:
                        raise too_large(MOST_UNPACKED, "unpacked")
                    if len(archives) == 1:
                        member.name = f"{member.name}/".removeprefix(place).rstrip("/")
                        member.linkname = member.linkname.removeprefix(place) if member.islnk() else member.linkname
                    if member.name:
                        target.addfile(member, source.extractfile(member) if member.isreg() else None)
    return made.getvalue()


def too_large(most: int, how: str) -> InvalidJobError:
    """Results are too large to become a part of a job."""
    allowed = f"{most}: larger ones a program fetches itself, from the URL in `results`"
    return InvalidJobError(
        [Problem(path="Spec.inputs", found=f"results of more than {most} bytes, {how}", allowed=allowed)]
    )
