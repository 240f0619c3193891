"""Why partitions failed, grouped; and why they wait, node by node."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from orchestrator.contract.execution import Cause
from orchestrator.contract.grouping import normalised
from orchestrator.contract.ids import NodeId
from orchestrator.contract.partitions import Explanation, Explanations, FailureGroup, Failures, NodeReason
from orchestrator.contract.selection import format_ranges
from orchestrator.core.cluster import HUNGRY, JobEntry, Refusal
from orchestrator.core.model import NEVER, ExecutionRecord
from orchestrator.core.placement import refusal
from orchestrator.core.queueing import reasons_of
from orchestrator.routes.backend import Backend
from orchestrator.routes.views import rfc3339, row_of, state_byte
from orchestrator.routes.wire import HttpRequest, answer, query
from orchestrator.selection import SLICE, group_of, parse, select


class ReasonQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Of which partitions."""

    namespace: str = ""
    select: str = ""


@get("/api/v1/orchestrator/jobs/{job_id:str}/failures", answer=Failures)
async def list_failures(
    request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]
) -> Response[bytes]:
    """The last failed attempt of each partition that has any, grouped by cause, exit code and last line."""
    entry = await backend.reactor.entry(job_id, query(request.query_params, ReasonQuery).namespace)
    job = entry.record.job
    groups: dict[str, list[ExecutionRecord]] = {}
    failures = await backend.reactor.store.last_failures(job.id, job.version)
    for begin in range(0, len(failures), SLICE):
        for failure in failures[begin : begin + SLICE]:
            groups.setdefault(group_of(failure), []).append(failure)
        await asyncio.sleep(0)
    items = [failure_group(backend, entry, group, failures) for group, failures in groups.items()]
    items.sort(key=lambda item: -item.count)
    return await answer(request, Failures(next_token="", items=tuple(items)))


def failure_group(backend: Backend, entry: JobEntry, group: str, failures: Sequence[ExecutionRecord]) -> FailureGroup:
    """Attempts that failed the same way; the first is the sample."""
    sample = failures[0]
    return FailureGroup(
        group=group,
        cause=sample.cause or Cause.AGENT,
        exit_code=sample.exit_code,
        message=normalised(sample.message),
        count=len(failures),
        partitions=format_ranges([failure.index for failure in failures]),
        sample=row_of(entry, sample.index, state_byte(backend.reactor.cluster, entry, sample.index), sample),
    )


@get("/api/v1/orchestrator/jobs/{job_id:str}/explain", query=ReasonQuery, answer=Explanations)
async def explain(request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]) -> Response[bytes]:
    """Why partitions wait, most first; those that do not wait are left out."""
    asked = query(request.query_params, ReasonQuery)
    entry = await backend.reactor.entry(job_id, asked.namespace)
    indices = await select(backend.reactor.store, entry, backend.stopping(entry), parse(asked.select), backend.now())
    stopping: list[int] = []
    delayed: list[int] = []
    hungry: list[int] = []
    now = backend.now()
    for begin in range(0, len(indices), SLICE):
        for index in indices[begin : begin + SLICE]:
            if entry.states[index] not in HUNGRY:
                continue
            is_delayed = entry.due.get(index, NEVER) > now
            (stopping if index in entry.live else delayed if is_delayed else hungry).append(index)
        await asyncio.sleep(0)
    items: list[Explanation] = []
    if stopping:
        items.append(explained("its former execution is still being stopped", stopping))
    if delayed:
        items.append(explained(backoff_text(entry, delayed), delayed))
    if hungry and entry.record.is_suspended:
        items.append(explained("the job is suspended: nothing more of it begins until it is resumed", hungry))
    elif hungry:
        refusals = refusals_of(backend, entry)
        items.append(explained(room_text(refusals), hungry, refusals))
    items.sort(key=lambda item: -item.count)
    return await answer(request, Explanations(next_token="", items=tuple(items)))


def explained(reason: str, indices: Sequence[int], refusals: dict[NodeId, Refusal | None] | None = None) -> Explanation:
    """One reason of some partitions, with what each node says to it."""
    nodes = tuple(
        NodeReason(node_id=node, reason=why.text if why else "has room") for node, why in (refusals or {}).items()
    )
    return Explanation(reason=reason, count=len(indices), partitions=format_ranges(indices), nodes=nodes)


def backoff_text(entry: JobEntry, indices: Sequence[int]) -> str:
    """Until when partitions wait that failed before."""
    first, last = min(entry.due[index] for index in indices), max(entry.due[index] for index in indices)
    if first == last:
        return f"waits for its backoff until {rfc3339(first)}"
    return f"waits for its backoff; the first until {rfc3339(first)}, the last until {rfc3339(last)}"


def refusals_of(backend: Backend, entry: JobEntry) -> dict[NodeId, Refusal | None]:
    """Why each node does not take a partition of the job now."""
    nodes = backend.reactor.cluster.nodes.values()
    return {node.id: refusal(entry, node, node.free()) for node in sorted(nodes, key=lambda node: node.id)}


def room_text(refusals: dict[NodeId, Refusal | None]) -> str:
    """Why no node takes a partition, in a sentence."""
    room = Counter(why is None for why in refusals.values())[True]
    if room:
        return f"other jobs go first: {room} of {len(refusals)} nodes could take it now"
    return reasons_of({str(node): why for node, why in refusals.items()})
