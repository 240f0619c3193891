"""Holding a job: suspend and resume."""

import msgspec
from litestar import Response, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from orchestrator.contract.overview import JobChanged
from orchestrator.core.commands import Evaluated, Reply, Resume, Suspend
from orchestrator.routes.backend import Backend
from orchestrator.routes.wire import Envelope, HttpRequest, answer, body, token_of


class SuspendRequest(Envelope, frozen=True, kw_only=True):
    """Body of a suspension."""

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


async def hold(request: HttpRequest, backend: Backend, command: Suspend | Resume, asked: Envelope) -> Response[bytes]:
    """Carry it out, once."""

    def encoded(reply: Reply) -> bytes:
        assert isinstance(reply, Evaluated)
        return msgspec.json.encode(JobChanged(evaluation_id=reply.evaluation_id))

    token = token_of(request, asked.idempotency_token)
    return await answer(request, await backend.reactor.carry_out_once(command, token, encoded))
