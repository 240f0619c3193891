"""The archive of one partition: what its accepted attempt has left."""

import re

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from orchestrator.contract.params import PUBLISHERS
from orchestrator.contract.partitions import state_word
from orchestrator.core.cluster import JobEntry
from orchestrator.errors import OrchestratorError
from orchestrator.routes.backend import Backend
from orchestrator.routes.partitions import accepted_of, attempts_of
from orchestrator.routes.views import state_byte
from orchestrator.routes.wire import HttpRequest, query

FILE = re.compile(r"(\d{1,6})\.tar\.gz", re.ASCII)


class ResultNotFoundError(OrchestratorError):
    """The partition has left no archive here."""

    status = 404
    code = "NotFound"
    component = "ResultStore"


class ResultQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Where the job's name is looked up."""

    namespace: str = ""


@get("/api/v1/orchestrator/jobs/{job_id:str}/results/{file:str}")
async def get_result(
    request: HttpRequest, job_id: FromPath[str], file: FromPath[str], backend: NamedDependency[Backend]
) -> Stream:
    """The archive `{partition}.tar.gz` of the accepted attempt of a partition."""
    entry = await backend.reactor.entry(job_id, query(request.query_params, ResultQuery).namespace)
    found = FILE.fullmatch(file)
    if found is None:
        message = f"result not found: {file}; there are 0.tar.gz to {entry.record.width - 1}.tar.gz"
        raise ResultNotFoundError(message)
    index = int(found[1])
    accepted = accepted_of(entry, index, await attempts_of(backend, entry, index))
    archive = await backend.results.get(accepted.id) if accepted else None
    if archive is None:
        raise ResultNotFoundError(reason_of(backend, entry, index, has_success=accepted is not None))
    headers = {
        "Content-Length": str(archive.size),
        "Content-Disposition": f'attachment; filename="{index}.tar.gz"',
    }
    return Stream(archive.content, media_type="application/gzip", headers=headers)


def reason_of(backend: Backend, entry: JobEntry, index: int, *, has_success: bool) -> str:
    """Why a partition has no archive."""
    if not has_success:
        state = state_word(state_byte(backend.reactor.cluster, entry, index))
        return f"result not found: partition {index} of job {entry.id} has no success yet, it is {state}"
    if entry.record.job.task.publisher.type not in PUBLISHERS:
        return f"result not found: job {entry.id} does not publish to the orchestrator"
    return f"result not found: the archive of partition {index} of job {entry.id} is not kept here any more"
