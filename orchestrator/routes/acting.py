"""Acting on a selection of partitions: run them again, with other resources if need be, or stop them."""

import uuid
from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import Response, put
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from orchestrator.contract.api import Problem
from orchestrator.contract.check_task import resource_problems
from orchestrator.contract.ids import NodeId
from orchestrator.contract.job import ResourcesConfig
from orchestrator.contract.partitions import ActionResult
from orchestrator.contract.selection import ranges_of
from orchestrator.contract.spec import DURATION
from orchestrator.contract.walk import nearest, shown
from orchestrator.core.cluster import JobEntry
from orchestrator.core.commands import Acted, Reply, Retry, StopPartitions
from orchestrator.core.model import Override
from orchestrator.errors import CountChangedError, InvalidRequestError
from orchestrator.routes.backend import Backend
from orchestrator.routes.wire import Envelope, HttpRequest, answer, body, checked, token_of
from orchestrator.selection import parse, select


class RetryRequest(Envelope, frozen=True, kw_only=True):
    """Body of a retry."""

    select: str
    include_completed: bool = False
    resources: ResourcesConfig | None = None
    """What each execution needs from now on; empty fields are the job's."""
    timeout: Annotated[int, Meta(ge=1, le=3_153_600_000), DURATION] | None = None
    """Seconds that an execution may run."""
    avoid_nodes: tuple[str, ...] = ()
    """Ids of nodes that they are not placed on, or what only those begin with."""
    add_attempts: Annotated[int, Meta(ge=1, le=100)] | None = None
    """Failures that each may have again, in place of the job's `MaxAttempts`."""
    dry_run: bool = False
    if_cursor: str = ""
    """The `Cursor` of a dry run: refused where it would take another number of partitions by now."""


class StopPartitionsRequest(Envelope, frozen=True, kw_only=True):
    """Body of a stop of partitions."""

    select: str
    reason: str = ""
    dry_run: bool = False
    if_cursor: str = ""
    """As of a retry."""


@put("/api/v1/orchestrator/jobs/{job_id:str}/partitions/retry", status_code=200, body=RetryRequest, answer=ActionResult)
async def retry_partitions(
    request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]
) -> Response[bytes]:
    """Queue the failed and stopped partitions of a selection again, differently from the job where that is asked."""
    asked = await body(request, RetryRequest, is_strict=True)
    entry = await backend.reactor.entry(job_id, asked.namespace)
    command = Retry(
        job_id=entry.id,
        partitions=await ranges(backend, entry, asked.select),
        include_completed=asked.include_completed,
        override=override_of(asked, sorted(backend.reactor.cluster.nodes)),
        is_dry_run=asked.dry_run,
    )
    return await act(request, backend, command, asked)


def override_of(asked: RetryRequest, nodes: Sequence[NodeId]) -> Override | None:
    """What shall be different; None = nothing. Raises InvalidRequestError."""
    problems = list(resource_problems(asked.resources or ResourcesConfig(), "Resources"))
    avoided: list[NodeId] = []
    for at, wanted in enumerate(asked.avoid_nodes):
        found = [wanted] if wanted in nodes else [node for node in nodes if wanted and node.startswith(wanted)]
        if len(found) != 1:
            allowed = "the id of a node, or what only its id begins with"
            hint = f"it could be {', '.join(found[:5])}" if found else nearest(wanted, nodes)
            problems.append(Problem(path=f"AvoidNodes[{at}]", found=shown(wanted), allowed=allowed, hint=hint))
        avoided += [NodeId(node) for node in found]
    if problems:
        checked(None, problems)
    resources = asked.resources if asked.resources != ResourcesConfig() else None
    override = Override(
        resources=resources, timeout=asked.timeout, avoid=tuple(avoided), max_attempts=asked.add_attempts
    )
    return override if override != Override() else None


@put(
    "/api/v1/orchestrator/jobs/{job_id:str}/partitions/stop",
    status_code=200,
    body=StopPartitionsRequest,
    answer=ActionResult,
)
async def stop_partitions(
    request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]
) -> Response[bytes]:
    """Stop the unfinished partitions of a selection."""
    asked = await body(request, StopPartitionsRequest, is_strict=True)
    entry = await backend.reactor.entry(job_id, asked.namespace)
    command = StopPartitions(
        job_id=entry.id,
        partitions=await ranges(backend, entry, asked.select),
        reason=asked.reason,
        is_dry_run=asked.dry_run,
    )
    return await act(request, backend, command, asked)


async def ranges(backend: Backend, entry: JobEntry, text: str) -> tuple[range, ...]:
    """The partitions that a selection takes. Raises InvalidRequestError; an empty one is refused, too."""
    if not text.strip():
        message = "Select: found nothing, allowed: a selection such as failed, 3-9 or all"
        raise InvalidRequestError(message)
    return ranges_of(await select(backend.reactor.store, entry, backend.stopping(entry), parse(text), backend.now()))


async def act(
    request: HttpRequest, backend: Backend, command: Retry | StopPartitions, asked: RetryRequest | StopPartitionsRequest
) -> Response[bytes]:
    """Carry out an action on partitions; what was only counted is not kept. Raises CountChangedError."""

    def encoded(reply: Reply) -> bytes:
        assert isinstance(reply, Acted)
        hold_to(asked.if_cursor, reply.count)
        cursor = f"{backend.cursor()}.{reply.count}" if asked.dry_run else backend.cursor()
        result = ActionResult(
            count=reply.count, by_state=reply.by_state, cursor=cursor, evaluation_id=reply.evaluation_id
        )
        return msgspec.json.encode(result)

    token = "" if asked.dry_run else guarded_token(request, asked.idempotency_token, asked.if_cursor)
    return await answer(request, await backend.reactor.carry_out_once(command, token, encoded))


def guarded_token(request: HttpRequest, token: str, if_cursor: str) -> str:
    """As `token_of`; with a cursor never empty: only then the answer is made before the commit, and `hold_to` can prevent it.

    Raises InvalidRequestError.
    """
    if if_cursor:
        count_in(if_cursor)
        token = token or request.query_params.get("idempotency_token", "") or uuid.uuid4().hex
    return token_of(request, token)


def hold_to(if_cursor: str, count: int) -> None:
    """Raises CountChangedError where an action takes another number of partitions than the dry run of a cursor said."""
    if if_cursor and count_in(if_cursor) != count:
        raise CountChangedError(count, count_in(if_cursor))


def count_in(cursor: str) -> int:
    """The count in a dry run's cursor. Raises InvalidRequestError."""
    parts = cursor.split(".")
    if len(parts) != 3 or not (parts[2].isascii() and parts[2].isdigit() and len(parts[2]) < 10):
        message = f"IfCursor: found {cursor[:60]!r}, allowed: the Cursor of a dry run of this action"
        raise InvalidRequestError(message)
    return int(parts[2])
