"""Which changes of state are legal, as tables: everything that changes a state goes through here."""

from msgspec.structs import replace

from orchestrator.contract.execution import ExecutionState as E
from orchestrator.contract.ids import Timestamp
from orchestrator.contract.job import JobState
from orchestrator.contract.job import JobStateType as J
from orchestrator.contract.partitions import PartitionState
from orchestrator.core.model import ExecutionRecord, JobRecord

ENDS = frozenset({E.COMPLETED, E.FAILED, E.CANCELLED})
NEXT_OF_EXECUTION: dict[E, frozenset[E]] = {
    E.ASSIGNED: ENDS | {E.RUNNING, E.PUBLISHING},
    E.RUNNING: ENDS | {E.PUBLISHING},
    E.PUBLISHING: ENDS,
    E.COMPLETED: frozenset(),
    E.FAILED: frozenset(),
    E.CANCELLED: frozenset(),
    # Bacalhau's, read from it and never written by us.
    E.UNDEFINED: frozenset(),
    E.ASK_FOR_BID: frozenset(),
    E.ASK_FOR_BID_ACCEPTED: frozenset(),
    E.ASK_FOR_BID_REJECTED: frozenset(),
    E.BID_ACCEPTED: frozenset(),
    E.BID_REJECTED: frozenset(),
}
"""A report may skip states; none goes back."""

PARTITION_OF = {
    E.ASSIGNED: PartitionState.ASSIGNED,
    E.RUNNING: PartitionState.RUNNING,
    E.PUBLISHING: PartitionState.PUBLISHING,
}
"""Where a partition stands while its current execution is in a state that is no end."""
NEXT_OF_JOB: dict[J, frozenset[J]] = {
    J.UNDEFINED: frozenset({J.PENDING}),
    J.PENDING: frozenset({J.QUEUED, J.RUNNING, J.COMPLETED, J.FAILED, J.STOPPED}),
    J.QUEUED: frozenset({J.RUNNING, J.COMPLETED, J.FAILED, J.STOPPED}),
    J.RUNNING: frozenset({J.QUEUED, J.COMPLETED, J.FAILED, J.STOPPED}),
    J.COMPLETED: frozenset({J.PENDING}),
    J.FAILED: frozenset({J.PENDING}),
    J.STOPPED: frozenset({J.PENDING}),
}
"""A job that ended begins again only by a retry."""


class IllegalTransitionError(Exception):
    """A change of state that the tables do not know. Nothing was changed."""

    def __init__(self, what: str, state: str, to: str) -> None:
        super().__init__(f"{what} is {state} and cannot become {to}")


def advance(execution: ExecutionRecord, to: E, now: Timestamp) -> ExecutionRecord:
    """The execution in state `to`; the same object when it is there already.

    Raises IllegalTransitionError.
    """
    if to is execution.state:
        return execution
    if to not in NEXT_OF_EXECUTION[execution.state]:
        raise IllegalTransitionError(execution.id, execution.state.name, to.name)
    return replace(execution, state=to, revision=execution.revision + 1, modified=now)


def turn(record: JobRecord, to: J, now: Timestamp, message: str = "") -> JobRecord:
    """The job in state `to` with `message`; the same object when both hold already.

    Raises IllegalTransitionError.
    """
    job = record.job
    state = job.state
    if to is state.state_type:
        if message == state.message:
            return record
        return replace(record, job=replace(job, state=JobState(state_type=to, message=message), modify_time=now))
    if to not in NEXT_OF_JOB[state.state_type]:
        raise IllegalTransitionError(job.id, state.state_type, to)
    turned = replace(job, state=JobState(state_type=to, message=message), revision=job.revision + 1, modify_time=now)
    return replace(record, job=turned)
