"""What a submission would do, without doing it: problems, new or update, the differences, and what nodes say."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from orchestrator.contract.decode import Decoded
from orchestrator.contract.ids import NodeId
from orchestrator.contract.job import PINNED, Job
from orchestrator.contract.plan import Difference, Plan, PlanKind, PlannedNode
from orchestrator.contract.walk import below
from orchestrator.core.cluster import JobEntry, NodeEntry, NoRoom, need_of
from orchestrator.core.decide import spec_of
from orchestrator.core.model import NEVER, JobRecord
from orchestrator.core.placement import refusal, slots
from orchestrator.errors import AmbiguousJobError, JobNotFoundError
from orchestrator.routes.backend import Backend

MOST_DIFFERENCES = 200
NOT_COMPARED = ("ID", "Name", "Type", "State", "Version", "Revision", "CreateTime", "ModifyTime")
"""Keys that an update keeps, or that the server sets."""
TRANSIENT = (NoRoom.BUSY, NoRoom.RESERVED)
"""Reasons of nodes that match and only have no room now."""


async def plan_of(backend: Backend, decoded: Decoded) -> Plan:
    """What submitting this would do."""
    job = decoded.job
    if job is None:
        return Plan(kind=PlanKind.INVALID, problems=decoded.problems, warnings=decoded.warnings)
    nodes = nodes_of(backend, job)
    matching = sum(node.matches for node in nodes)
    found = Plan(
        kind=PlanKind.NEW,
        warnings=decoded.warnings,
        new_version=1,
        partitions=matching if job.type in PINNED else job.count,
        nodes=nodes,
    )
    old = await known(backend, job)
    if old is None:
        return found
    is_same = spec_of(job) == spec_of(old.record.job)
    return replace(
        found,
        kind=PlanKind.UNCHANGED if is_same else PlanKind.UPDATE,
        job_id=old.id,
        old_version=old.record.job.version,
        new_version=old.record.job.version + 1,
        stopping=len(old.live),
        differences=tuple(differences(old.record.job, job)),
    )


async def known(backend: Backend, job: Job) -> JobEntry | None:
    """The job that a submission would update: the one of its name."""
    if not job.name:
        return None
    try:
        entry = await backend.reactor.entry(job.name, job.namespace)
    except (JobNotFoundError, AmbiguousJobError):
        return None
    own = entry.record.job
    return entry if (own.name, own.namespace) == (job.name, job.namespace) else None


def differences(old: Job, new: Job) -> list[Difference]:
    """Every field that an update changes, at most 200."""
    before, after = plain(spec_of(old)), plain(spec_of(new))
    found: list[Difference] = []
    for difference in compared(before, after, ""):
        found.append(difference)
        if len(found) == MOST_DIFFERENCES:
            break
    return found


def plain(job: Job) -> dict[str, Any]:
    """What counts of a job, in keys of the wire."""
    content: dict[str, Any] = msgspec.to_builtins(job)
    return {key: value for key, value in content.items() if key not in NOT_COMPARED}


def compared(old: Any, new: Any, path: str) -> Iterator[Difference]:
    """What differs between two pieces of plain data."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from compared(old.get(key), new.get(key), below(path, key))
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple):
        for at in range(max(len(old), len(new))):
            ours, theirs = (side[at] if at < len(side) else None for side in (old, new))
            yield from compared(ours, theirs, f"{path}[{at}]")
    elif old != new:
        yield Difference(path=path, old=old, new=new)


def nodes_of(backend: Backend, job: Job) -> tuple[PlannedNode, ...]:
    """What each node says to a job; those that match first."""
    entry = JobEntry(JobRecord(job=replace(job, count=0), began=NEVER))
    nodes = [planned(entry, node) for node in backend.reactor.cluster.nodes.values()]
    return tuple(sorted(nodes, key=lambda node: (not node.matches, node.node_id)))


def planned(entry: JobEntry, node: NodeEntry) -> PlannedNode:
    """What one node says to a job."""
    why = refusal(entry, node, node.free())
    matches = why is None or why.why in TRANSIENT
    return PlannedNode(
        node_id=NodeId(node.id),
        matches=matches,
        reason=why.text if why else "",
        slots=slots(node.capacity, need_of(entry.record.job, None)) if matches else 0,
    )
