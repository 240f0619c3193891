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

RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)
FILE = re.compile(r"(\d{1,6})\.tar\.gz", re.ASCII)


class ResultNotFoundError(OrchestratorError):
    """The partition has left no archive here."""

    status = 404
    code = "NotFound"
    component = "ResultStore"


class RangeError(OrchestratorError):
    """The archive has no bytes where they were asked for."""

    status = 416
    code = "RangeNotSatisfiable"
    component = "ResultStore"

    def __init__(self, wanted: str, size: int) -> None:
        super().__init__(f"Range: found {wanted[:60]!r}, allowed: bytes of 0-{size - 1}")


class ResultQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Where the job's name is looked up."""

    namespace: str = ""


@get("/api/v1/orchestrator/jobs/{job_id:str}/results/{file:str}")
async def get_result(
    request: HttpRequest, job_id: FromPath[str], file: FromPath[str], backend: NamedDependency[Backend]
) -> Stream:
    """The archive `{partition}.tar.gz` of the accepted attempt of a partition; with `Range` a part of it."""
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
    assert accepted is not None
    tag = f'"{accepted.id}"'
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'attachment; filename="{index}.tar.gz"',
        "Content-Length": str(archive.size),
        "ETag": tag,
    }
    wanted = request.headers.get("range", "")
    if request.headers.get("if-range", tag) != tag:
        wanted = ""  # of another attempt's archive: the client gets all of this one
    part = part_of(wanted, archive.size)
    if part is None:
        return Stream(archive.content, media_type="application/gzip", headers=headers)
    begin, end = part
    piece = await backend.results.get(accepted.id, begin, end)
    if piece is None:
        raise ResultNotFoundError(reason_of(backend, entry, index, has_success=True))
    headers |= {"Content-Length": str(end - begin), "Content-Range": f"bytes {begin}-{end - 1}/{archive.size}"}
    return Stream(piece.content, media_type="application/gzip", headers=headers, status_code=206)


def part_of(wanted: str, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last of a `Range`; None = all, also where it is none or several.

    Raises RangeError for one that begins behind the end.
    """
    found = RANGE.fullmatch(wanted.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        begin, end = max(0, size - int(found[2])), size
    else:
        begin, end = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
        if found[2] and int(found[2]) < begin:
            return None
    if begin >= end:
        raise RangeError(wanted, size)
    return begin, end


def reason_of(backend: Backend, entry: JobEntry, index: int, *, has_success: bool) -> str:
    """Why a partition has no archive."""
    if not has_success:
        state = state_word(state_byte(backend.reactor.cluster, entry, index))
        return f"result not found: partition {index} of job {entry.id} has no success yet, it is {state}"
    if entry.record.job.task.publisher.type not in PUBLISHERS:
        return f"result not found: job {entry.id} does not publish to the orchestrator"
    return f"result not found: the archive of partition {index} of job {entry.id} is not kept here any more"
