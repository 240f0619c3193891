"""Batch jobs: every partition has one accepted success, or has run out of attempts."""

from msgspec.structs import replace

from orchestrator.contract.execution import Cause, DesiredState, Payer
from orchestrator.contract.history import Topic
from orchestrator.contract.ids import ExecutionId, JobId, after
from orchestrator.contract.job import JobStateType
from orchestrator.contract.partitions import SETTLED, PartitionState
from orchestrator.contract.units import format_duration
from orchestrator.core.draft import Draft
from orchestrator.core.model import NEVER, ExecutionRecord
from orchestrator.core.retry import GiveUp, RetryAt, next_attempt

NEVER_RAN = frozenset({Cause.NODE_LOST, Cause.AGENT})
"""Causes that say nothing about an execution that had not begun: then nobody pays."""


def after_success(draft: Draft, execution: ExecutionRecord) -> None:
    """Accept the success of a current execution whose partition has none; the job's state stays as it is."""
    row = draft.row(execution.job_id, execution.index)
    draft.set_row(replace(row, state=PartitionState.COMPLETED, accepted=execution.id, retry_due=NEVER))


def after_failure(draft: Draft, execution: ExecutionRecord, cause: Cause, *, had_begun: bool) -> None:
    """Decide what follows for the partition of an execution that ended without success.

    A partition that was settled or queued again meanwhile stays as it is.
    """
    row = draft.row(execution.job_id, execution.index)
    if row.state not in (PartitionState.ASSIGNED, PartitionState.RUNNING, PartitionState.PUBLISHING):
        return
    payer = Payer.NOBODY if cause in NEVER_RAN and not had_begun else cause.payer
    billed = row.billed + (payer is Payer.TASK)
    lost = row.lost + (payer is Payer.OURS)
    unbegun = row.unbegun + (payer is Payer.NOBODY and not had_begun)
    row = replace(row, billed=billed, lost=lost, unbegun=unbegun)
    if payer is Payer.NOBODY:
        draft.set_row(replace(row, state=PartitionState.RETRYING, retry_due=NEVER))
        return
    policy = draft.job(execution.job_id).job.retry_policy
    if execution.override is not None and execution.override.max_attempts is not None:
        policy = replace(policy, max_attempts=execution.override.max_attempts)
    match next_attempt(policy, billed, lost, cause, draft.now, seed_of(execution)):
        case RetryAt(due):
            retry_due = due if due > draft.now else NEVER
            draft.set_row(replace(row, state=PartitionState.RETRYING, retry_due=retry_due))
        case GiveUp(why):
            draft.set_row(replace(row, state=PartitionState.FAILED, retry_due=NEVER))
            give_up(draft, execution, why)


def give_up(draft: Draft, execution: ExecutionRecord, why: str) -> None:
    """Record that a partition has failed for good; the first one names the job's failure."""
    record = draft.job(execution.job_id)
    details = {"IsError": "true", "Reason": why}
    message = f"Partition {execution.index} failed, {why}"
    draft.tell(execution.job_id, Topic.SCHEDULING, message, details, execution)
    if not record.first_failure:
        failure = f"partition {execution.index}: {failure_of(execution)}"
        draft.set_job(replace(record, first_failure=failure))


def failure_of(execution: ExecutionRecord) -> str:
    """Cause, exit code and the task's own words, in one line."""
    code = f" {execution.exit_code}" if execution.exit_code is not None else ""
    words = f": {execution.message}" if execution.message else ""
    return f"{execution.cause}{code}{words}"


def seed_of(execution: ExecutionRecord) -> int:
    """What the jitter of the wait after an execution is made from."""
    return hash_of(execution.job_id) + 1_000_003 * execution.index + execution.attempt


def hash_of(text: str) -> int:
    """A number that depends on the text alone (FNV-1a, 32 bits)."""
    value = 2_166_136_261
    for byte in text.encode():
        value = (value ^ byte) * 16_777_619 & 0xFFFFFFFF
    return value


def evaluate(draft: Draft, job_id: JobId) -> None:
    """Look at a job that something happened to: it may have ended, or its time may be up."""
    record = draft.job(job_id)
    if record.job.state.state_type.is_terminal:
        return
    counts = draft.counts(job_id)
    if sum(counts[state] for state in SETTLED) == record.width:
        end(draft, job_id, counts)
        return
    total = record.job.task.timeouts.total_timeout
    if total and after(record.began, total) <= draft.now:
        message = f"Job timed out. Job took longer than {format_duration(total)}"
        hint = "Increase the task timeout or allocate more resources"
        draft.tell(job_id, Topic.JOB_TIMEOUT, message, {"IsError": "true", "Hint": hint})
        stop_everything(draft, job_id, JobStateType.FAILED, message, "Execution stopped due to job failure")


def end(draft: Draft, job_id: JobId, counts: tuple[int, ...]) -> None:
    """End a job whose partitions are all settled."""
    record = draft.job(job_id)
    failed, stopped = counts[PartitionState.FAILED], counts[PartitionState.STOPPED]
    if failed:
        first = f"; {record.first_failure}" if record.first_failure else ""
        message = f"{failed} of {record.width} partitions failed{first}"
        state = JobStateType.FAILED
        draft.tell(job_id, Topic.SCHEDULING, message, {"IsError": "true", "NewState": state})
    elif stopped:
        message = f"{stopped} of {record.width} partitions were stopped"
        state = JobStateType.STOPPED
        draft.tell(job_id, Topic.SCHEDULING, message, {"NewState": state})
    else:
        message, state = "", JobStateType.COMPLETED
        draft.tell(job_id, Topic.STATE_UPDATE, "Completed", {"NewState": state})
    draft.set_job(replace(draft.job(job_id), queued_since=NEVER))
    draft.turn_job(job_id, state, message)


def stop_everything(draft: Draft, job_id: JobId, state: JobStateType, message: str, why: str) -> None:
    """End a job now, as `state`: what runs is asked to stop, what waits is stopped. Completed partitions are kept."""
    for execution_id in draft.all_live(job_id).values():
        ask_to_stop(draft, execution_id, Cause.CANCELLED, why)
    for index in unsettled_with_record(draft, job_id):
        row = draft.row(job_id, index)
        draft.set_row(replace(row, state=PartitionState.STOPPED, retry_due=NEVER))
    if draft.untouched_count(job_id) and draft.job(job_id).untouched is PartitionState.WAITING:
        draft.set_untouched(job_id, PartitionState.STOPPED)
    draft.set_job(replace(draft.job(job_id), queued_since=NEVER))
    draft.turn_job(job_id, state, message)


def unsettled_with_record(draft: Draft, job_id: JobId) -> list[int]:
    """Partitions with a record that are not settled."""
    entry, rows = draft.entry(job_id), draft.overlay.rows.get(job_id, {})
    stored = [
        index
        for index, known in enumerate(entry.has_record)
        if known and index not in rows and entry.states[index] not in SETTLED
    ]
    return stored + [index for index, row in rows.items() if row.state not in SETTLED]


def ask_to_stop(draft: Draft, execution_id: ExecutionId, cause: Cause, message: str) -> None:
    """Want an execution stopped, unless that is wanted already."""
    execution = draft.live_execution(execution_id)
    if execution.desired is not DesiredState.STOPPED:
        draft.tell(execution.job_id, Topic.SCHEDULING, message, execution=execution)
        draft.want_stopped(replace(execution, desired=DesiredState.STOPPED, desired_message=message, stop_cause=cause))
