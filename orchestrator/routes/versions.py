"""Versions of a job: run one again, and what a submission would change in the latest."""

import difflib
from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Response, put
from litestar.di import NamedDependency
from litestar.exceptions import MethodNotAllowedException
from litestar.params import FromPath

from orchestrator.contract.api import DiffResponse, RerunResponse
from orchestrator.contract.decode import decode_job
from orchestrator.contract.job import Job
from orchestrator.core.commands import Reply, Rerun, Submitted
from orchestrator.core.decide import spec_of
from orchestrator.errors import InvalidJobError, InvalidRequestError, JobNotFoundError, OrchestratorError
from orchestrator.routes.admission import refuse_submission
from orchestrator.routes.backend import Backend
from orchestrator.routes.jobs import Limit, in_namespace, version_of
from orchestrator.routes.wire import Envelope, HttpRequest, answer, body, decoded, token_of

CONTEXT = 3
"""Lines around a change."""
HIDDEN = ("ID", "Name", "Namespace", "State", "Version", "Revision", "CreateTime", "ModifyTime")
"""Of a job: what a submission cannot change."""


class RerunRequest(Envelope, frozen=True, kw_only=True):
    """Body of a rerun."""

    job_version: Limit = 0
    """0 = the latest."""
    reason: str = ""


class DiffRequest(Envelope, frozen=True, kw_only=True):
    """Body of a comparison."""

    job: Any = None


class NameNotKnownError(OrchestratorError):
    """No job of that name is there to be compared with."""

    status = 404
    code = "NotFound"
    component = "JobStore"

    def __init__(self, name: str, namespace: str) -> None:
        super().__init__(f"job name index not found: {name}:{namespace}")


@put("/api/v1/orchestrator/jobs/{job_id:str}/rerun", body=RerunRequest, answer=RerunResponse)
async def rerun_job(request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]) -> Response[bytes]:
    """Begin a new version of a job from the spec of one of its versions: all partitions again."""
    asked = await body(request, RerunRequest)
    entry = await backend.reactor.entry(job_id, asked.namespace)
    chosen = await version_of(backend, entry, job_id, asked.job_version)

    def encoded(reply: Reply) -> bytes:
        assert isinstance(reply, Submitted)
        return msgspec.json.encode(
            RerunResponse(
                job_id=reply.job_id, job_version=reply.version, evaluation_id=reply.evaluation_id, warnings=None
            )
        )

    command = Rerun(job_id=entry.id, job=chosen, reason=asked.reason)
    token = token_of(request, asked.idempotency_token)
    return await answer(request, await backend.reactor.carry_out_once(command, token, encoded))


@put("/api/v1/orchestrator/jobs/{job_id:str}", body=DiffRequest, answer=DiffResponse)
async def diff_job(request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]) -> Response[bytes]:
    """PUT of `jobs/diff`: what a submission would change. Nothing is stored; no difference = empty text.

    A path of its own would hide a job that is called diff from the other methods.
    """
    if job_id != "diff":
        raise MethodNotAllowedException
    asked = await body(request, DiffRequest)
    read = await decoded(request, decode_job, in_namespace(asked.job, asked.namespace))
    if read.job is None:
        raise InvalidJobError(read.problems)
    wanted = read.job
    refuse_submission(request, wanted.namespace)
    if not wanted.name.strip():
        message = "invalid job spec: name is missing"
        raise InvalidRequestError(message)
    try:
        entry = await backend.reactor.entry(wanted.name, wanted.namespace)
    except JobNotFoundError as error:
        raise NameNotKnownError(wanted.name, wanted.namespace) from error
    known = entry.record.job
    if (known.name, known.namespace) != (wanted.name, wanted.namespace):
        raise NameNotKnownError(wanted.name, wanted.namespace)
    text = difference(known, wanted)
    return await answer(request, msgspec.json.encode(DiffResponse(diff=text, warnings=read.warnings or None)))


def difference(old: Job, new: Job) -> str:
    """What is different in two specs, a line each: `- ` what was, `+ ` what would be; empty = nothing."""
    if spec_of(old) == spec_of(new):
        return ""
    was, will_be = (lines_of(job) for job in (old, new))
    changed = difflib.unified_diff(was, will_be, n=CONTEXT, lineterm="")
    return "".join(f"{line}\n" for line in spaced(list(changed)[2:]))


def spaced(lines: list[str]) -> Iterator[str]:
    """Lines of a unified diff, a blank behind their sign, `...` where lines were left out."""
    for at, line in enumerate(lines):
        if not line.startswith("@@"):
            yield f"{line[:1]} {line[1:]}"
        elif at:
            yield "  ..."


def lines_of(job: Job) -> list[str]:
    """The spec of a job as indented lines."""
    plain = msgspec.to_builtins(spec_of(job), order="sorted")
    shown = {key: value for key, value in plain.items() if key not in HIDDEN}
    return msgspec.json.format(msgspec.json.encode(shown), indent=2).decode().splitlines()
