"""A real Bacalhau knows executions, no partitions: what our routes would say of a job, folded from its executions. Pure.

States 3 and 1 are assigned, 5 is running, and so is 1 with Desired 1 (ops, daemon); a missing `PartitionIndex` is 0, for ops
and daemon one partition a node. The exit code of an execution that failed is unknown, not 0. It has no causes, only texts:
those that it is known to write are read as the causes that they tell of.
"""

import array
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from orchestrator.contract.execution import Cause, DesiredState, Execution, ExecutionState
from orchestrator.contract.grouping import group_id
from orchestrator.contract.ids import SECOND, NodeId
from orchestrator.contract.job import Job, JobStateType, JobType
from orchestrator.contract.partitions import (
    NO_NODE,
    Attempt,
    Frame,
    Grid,
    PartitionDetail,
    PartitionState,
    Row,
    Rows,
)
from orchestrator.contract.selection import Selection

CURSOR = "folded"
"""Of a grid that was folded: no stream goes on from it."""
EVERYWHERE = (JobType.OPS, JobType.DAEMON)
CAUSES = (
    ("memory limit exceeded", Cause.OOM),
    ("Execution timed out", Cause.TIMEOUT),
    ("node has disappeared", Cause.NODE_LOST),
    ("due to node restart", Cause.AGENT),
    ("image not available", Cause.IMAGE),
)
"""What is in the text of a failure, and its cause."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A partition as a selection looks at it."""

    index: int
    state: int
    node: str
    attempt: int
    seconds: float | None
    cause: str
    exit_code: int | None
    group: str
    message: str
    inputs: str = ""


def by_partition(job: Job, executions: Iterable[Execution]) -> dict[int, list[Execution]]:
    """The executions of a job's version by partition, oldest first."""
    ours = sorted((one for one in executions if one.job_version in (0, job.version)), key=lambda one: one.create_time)
    nodes = list(dict.fromkeys(one.node_id for one in ours))
    found: dict[int, list[Execution]] = {}
    for one in ours:
        index = nodes.index(one.node_id) if job.type in EVERYWHERE else one.partition_index
        found.setdefault(index, []).append(one)
    return found


def grid(job: Job, executions: Iterable[Execution]) -> Grid:
    """All partitions of a job, packed."""
    found = by_partition(job, executions)
    count = count_of(job, found)
    states = [state_of(job, found.get(index, ())) for index in range(count)]
    node_ids = nodes_of(found)
    numbers = {node: at for at, node in enumerate(node_ids)}
    nodes = [numbers[found[index][-1].node_id] if index in found else NO_NODE for index in range(count)]
    names = Counter(state.name.capitalize() for state in states)
    return Grid(
        cursor=CURSOR,
        job_id=job.id,
        job_version=job.version,
        count=count,
        states=bytes(states),
        attempts=bytes(min(255, len(found.get(index, ()))) for index in range(count)),
        nodes=packed("H", nodes),
        node_ids=node_ids,
        summary=dict(names),
        job_state=shown_state(job, states),
        job_message=job.state.message,
    )


def shown_state(job: Job, states: Sequence[PartitionState]) -> str:
    """The state of a job: Bacalhau calls one Queued whose first partitions run."""
    if job.state.state_type is JobStateType.QUEUED and PartitionState.RUNNING in states:
        return JobStateType.RUNNING.value
    return job.state.state_type.value


def frame(before: Grid | None, now: Grid) -> Frame | None:
    """What changed from one grid to the next; None = nothing."""
    if now == before:
        return None
    size = min(now.count, before.count) if before else 0
    changed = [
        index
        for index in range(now.count)
        if before is None
        or index >= size
        or (now.states[index], now.attempts[index]) != (before.states[index], before.attempts[index])
        or now.nodes[2 * index : 2 * index + 2] != before.nodes[2 * index : 2 * index + 2]
    ]
    return Frame(
        cursor=now.cursor,
        indices=packed("I", changed),
        states=bytes(now.states[index] for index in changed),
        attempts=bytes(now.attempts[index] for index in changed),
        nodes=b"".join(now.nodes[2 * index : 2 * index + 2] for index in changed),
        node_ids=now.node_ids,
        summary=now.summary,
        job_state=now.job_state,
        job_message=now.job_message,
        job_version=now.job_version,
    )


def rows(job: Job, executions: Iterable[Execution], select: str) -> Rows:
    """The partitions that a selection takes. Raises ValueError for one that makes no sense."""
    wanted = Selection.parse(select)
    found = by_partition(job, executions)
    items = []
    for index in range(count_of(job, found)):
        attempts = found.get(index, [])
        one = row(job, index, attempts)
        facts = Facts(
            index=index,
            state=state_of(job, attempts),
            node=one.node_id,
            attempt=one.attempts,
            seconds=(attempts[-1].modify_time - attempts[-1].create_time) / SECOND if attempts else None,
            cause=one.cause,
            exit_code=one.exit_code,
            group=group_id(one.cause, None, one.message) if one.message else "",
            message=one.message,
        )
        if wanted.test(facts):
            items.append(one)
    return Rows(next_token="", items=tuple(items))


def detail(job: Job, executions: Iterable[Execution], index: int) -> PartitionDetail | None:
    """One partition with all its attempts; None = there is none of this number."""
    found = by_partition(job, executions)
    if not 0 <= index < count_of(job, found):
        return None
    attempts = found.get(index, [])
    return PartitionDetail(
        job_id=job.id,
        job_version=job.version,
        partition=row(job, index, attempts),
        attempts=tuple(attempt(number, one) for number, one in enumerate(attempts, 1)),
    )


def row(job: Job, index: int, attempts: Sequence[Execution]) -> Row:
    """One partition as text."""
    state = state_of(job, attempts).word
    if not attempts:
        return Row(index=index, state=state, attempts=0)
    last = attempt(len(attempts), attempts[-1])
    return Row(
        index=index,
        state=state,
        attempts=len(attempts),
        node_id=last.node_id,
        execution_id=last.execution_id,
        started=last.started,
        finished=last.finished,
        exit_code=last.exit_code,
        cause=last.cause,
        message=last.message,
    )


def attempt(number: int, execution: Execution) -> Attempt:
    """One execution. When it began is not told: what is shown is when it was made."""
    state = execution.compute_state.state_type
    is_done = state is ExecutionState.COMPLETED
    return Attempt(
        attempt=number,
        execution_id=execution.id,
        node_id=execution.node_id,
        state=phase(execution).word if not state.is_terminal else "completed" if is_done else word_of(execution),
        created=moment(execution.create_time),
        started=moment(execution.create_time) if phase(execution) is not PartitionState.ASSIGNED else "",
        finished=moment(execution.modify_time) if state.is_terminal else "",
        exit_code=execution.run_output.exit_code if is_done else None,
        cause=cause_of(execution),
        message=execution.compute_state.message if state.is_terminal and not is_done else "",
        is_accepted=is_done,
    )


def word_of(execution: Execution) -> str:
    """How an execution ended that has not completed."""
    if execution.compute_state.state_type is not ExecutionState.FAILED:
        return "cancelled"
    return "lost" if cause_of(execution) == Cause.NODE_LOST else "failed"


def cause_of(execution: Execution) -> str:
    """Why an execution failed; empty = it did not, or its text says nothing that is known."""
    state = execution.compute_state
    if state.state_type is not ExecutionState.FAILED:
        return ""
    return next((cause.value for text, cause in CAUSES if text in state.message), "")


def phase(execution: Execution) -> PartitionState:
    """How far an execution is that has not ended."""
    state, desired = execution.compute_state.state_type, execution.desired_state.state_type
    is_running = state in (ExecutionState.BID_ACCEPTED, ExecutionState.RUNNING)
    if is_running or (state is ExecutionState.ASSIGNED and desired is DesiredState.RUNNING) or state.is_terminal:
        return PartitionState.RUNNING
    return PartitionState.PUBLISHING if state is ExecutionState.PUBLISHING else PartitionState.ASSIGNED


def state_of(job: Job, attempts: Sequence[Execution]) -> PartitionState:
    """Where a partition stands."""
    states = [one.compute_state.state_type for one in attempts]
    if ExecutionState.COMPLETED in states:
        return PartitionState.COMPLETED
    has_ended = job.state.state_type.is_terminal
    if not attempts:
        return PartitionState.STOPPED if has_ended else PartitionState.WAITING
    last = attempts[-1]
    if not last.compute_state.state_type.is_terminal:
        return PartitionState.STOPPED if has_ended else phase(last)
    if not has_ended:
        return PartitionState.RETRYING
    return PartitionState.FAILED if states[-1] is ExecutionState.FAILED else PartitionState.STOPPED


def count_of(job: Job, found: Mapping[int, Sequence[Execution]]) -> int:
    """How many partitions a job has: for ops and daemon as many as there are nodes."""
    return max(job.count, max(found, default=-1) + 1)


def nodes_of(found: Mapping[int, Sequence[Execution]]) -> tuple[NodeId, ...]:
    """The nodes of a job, in the order of their first execution: one more is one at the end."""
    ordered = sorted((one for attempts in found.values() for one in attempts), key=lambda one: one.create_time)
    return tuple(dict.fromkeys(one.node_id for one in ordered))


def packed(kind: str, numbers: Iterable[int]) -> bytes:
    """Numbers, little-endian."""
    found = array.array(kind, numbers)
    if sys.byteorder == "big":
        found.byteswap()
    return found.tobytes()


def moment(nanoseconds: int) -> str:
    """A time as RFC 3339."""
    return f"{datetime.fromtimestamp(nanoseconds / SECOND, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
