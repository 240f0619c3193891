"""What a real Bacalhau says of failing and waiting, folded into failure groups and explanations. Pure.

Why partitions wait is said once for the whole job: in its state while it is queued, else in the last event that tells of too
few nodes.
"""

import re
from collections.abc import Sequence

from orchestrator import client_fold
from orchestrator.contract.execution import Execution, ExecutionState
from orchestrator.contract.grouping import group_id, normalised
from orchestrator.contract.history import JobHistory
from orchestrator.contract.ids import NodeId
from orchestrator.contract.job import Job
from orchestrator.contract.partitions import (
    Explanation,
    Explanations,
    FailureGroup,
    Failures,
    NodeReason,
    PartitionState,
)
from orchestrator.contract.selection import format_ranges

WAITING = (PartitionState.WAITING, PartitionState.RETRYING)
TOO_FEW = re.compile(r"not enough nodes to run job\.|not matching nodes to run job")
QUEUED = "Job queued. "
NODE = re.compile(r"• (?:Node )?(?P<node>[^:]+): ?(?P<reason>.*)")
"""A line below such a text: `• Node n1: ...`, or `• 2 of 3 nodes: ...`, with nothing for those that would do."""
UNSAID = "the orchestrator, a Bacalhau, has not said why"


def failures(job: Job, executions: Sequence[Execution]) -> Failures:
    """The last failed execution of each partition that has any, grouped; the largest group first."""
    groups: dict[str, list[tuple[int, Execution]]] = {}
    found = client_fold.by_partition(job, executions)
    for index, attempts in sorted(found.items()):
        failed = [one for one in attempts if one.compute_state.state_type is ExecutionState.FAILED]
        if failed:
            group = group_id(client_fold.cause_of(failed[-1]), None, failed[-1].compute_state.message)
            groups.setdefault(group, []).append((index, failed[-1]))
    items = []
    for group, members in groups.items():
        first, sample = members[0]
        attempts = found[first]
        row = client_fold.row(job, first, attempts[: attempts.index(sample) + 1])
        one = FailureGroup(
            group=group,
            cause=client_fold.cause_of(sample),
            exit_code=None,
            message=normalised(sample.compute_state.message),
            count=len(members),
            partitions=format_ranges(index for index, _ in members),
            sample=row,
        )
        items.append(one)
    return Failures(next_token="", items=tuple(sorted(items, key=lambda one: -one.count)))


def explanations(job: Job, executions: Sequence[Execution], history: Sequence[JobHistory], select: str) -> Explanations:
    """Why partitions of a selection wait. Raises ValueError for one that makes no sense."""
    words = {state.word for state in WAITING}
    rows = client_fold.rows(job, executions, select).items
    waiting = [row.index for row in rows if row.state in words]
    if not waiting:
        return Explanations(next_token="", items=())
    told = [job.state.message, *(one.event.message for one in reversed(history) if one.job_version == job.version)]
    text = next((one for one in told if TOO_FEW.search(one)), "").removeprefix(QUEUED)
    reason, *lines = text.splitlines() or [UNSAID]
    nodes = tuple(
        NodeReason(node_id=NodeId(line["node"]), reason=line["reason"] or "has room")
        for line in map(NODE.match, lines)
        if line
    )
    item = Explanation(reason=reason, count=len(waiting), partitions=format_ranges(waiting), nodes=nodes)
    return Explanations(next_token="", items=(item,))
