"""Holding a job: suspend and resume; and what else can be changed of one while it runs, which is nothing yet."""

import msgspec
from litestar import Response, patch, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from orchestrator.contract.job import Job, Task
from orchestrator.contract.overview import JobChanged
from orchestrator.contract.walk import fields_of
from orchestrator.core.commands import Evaluated, Reply, Resume, Suspend
from orchestrator.errors import InvalidRequestError
from orchestrator.routes.backend import Backend
from orchestrator.routes.wire import Envelope, HttpRequest, answer, body, decoded, plain_body, struct_of, token_of

SPEC_KEYS = {name.lower(): name for name in (*fields_of(Job).names, *fields_of(Task).names) if name != "Namespace"}
"""What a job says, by the lower-case key."""


class SuspendRequest(Envelope, frozen=True, kw_only=True):
    """Body of a suspension."""

    reason: str = ""


class PatchRequest(Envelope, frozen=True, kw_only=True):
    """Body of a change of a job."""

    suspended: bool
    reason: str = ""


class ResumeRequest(Envelope, frozen=True, kw_only=True):
    """Body of a resumption."""


@put("/api/v1/orchestrator/jobs/{job_id:str}/suspend", status_code=200, body=SuspendRequest, answer=JobChanged)
async def suspend_job(
    request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]
) -> Response[bytes]:
    """Place nothing more of a job; what runs goes on."""
    asked = await body(request, SuspendRequest, is_strict=True)
    entry = await backend.reactor.entry(job_id, asked.namespace)
    return await hold(request, backend, Suspend(job_id=entry.id, reason=asked.reason), asked)


@put("/api/v1/orchestrator/jobs/{job_id:str}/resume", status_code=200, body=ResumeRequest, answer=JobChanged)
async def resume_job(request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]) -> Response[bytes]:
    """Place a suspended job again."""
    asked = await body(request, ResumeRequest, is_strict=True)
    entry = await backend.reactor.entry(job_id, asked.namespace)
    return await hold(request, backend, Resume(job_id=entry.id), asked)


@patch("/api/v1/orchestrator/jobs/{job_id:str}", body=PatchRequest, answer=JobChanged)
async def patch_job(request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]) -> Response[bytes]:
    """Change a job while it runs: whether it is held. All else is changed by submitting a new version."""
    plain = await plain_body(request)
    for key in plain if isinstance(plain, dict) else ():
        if key.lower() in SPEC_KEYS:
            message = f"{SPEC_KEYS[key.lower()]} cannot be changed while the job runs, only Suspended"
            raise InvalidRequestError(message, hint="submit the job again under its name: that begins a new version")
    asked = await decoded(request, struct_of, plain, PatchRequest, is_strict=True)
    entry = await backend.reactor.entry(job_id, asked.namespace)
    command = Suspend(job_id=entry.id, reason=asked.reason) if asked.suspended else Resume(job_id=entry.id)
    return await hold(request, backend, command, asked)


async def hold(request: HttpRequest, backend: Backend, command: Suspend | Resume, asked: Envelope) -> Response[bytes]:
    """Carry it out, once."""

    def encoded(reply: Reply) -> bytes:
        assert isinstance(reply, Evaluated)
        return msgspec.json.encode(JobChanged(evaluation_id=reply.evaluation_id))

    token = token_of(request, asked.idempotency_token)
    return await answer(request, await backend.reactor.carry_out_once(command, token, encoded))
