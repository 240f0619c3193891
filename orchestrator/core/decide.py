"""What a command changes. `decide` carries out one; `conclude` ends a batch: evaluates what was touched and schedules."""

from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from orchestrator.contract.execution import Cause
from orchestrator.contract.history import Topic
from orchestrator.contract.ids import ExecutionId, JobId
from orchestrator.contract.job import PINNED, Job, JobState, JobStateType
from orchestrator.contract.partitions import SETTLED, PartitionState
from orchestrator.contract.selection import format_ranges
from orchestrator.core import membership, nodes
from orchestrator.core.commands import (
    Acted,
    Approve,
    Decision,
    DeleteNode,
    Drain,
    Evaluated,
    Reject,
    Reply,
    Rerun,
    Resume,
    Retry,
    Stop,
    StopPartitions,
    Submit,
    Submitted,
    Suspend,
    Sync,
    Tick,
    Undrain,
)
from orchestrator.core.deadlines import Deadline, Kind
from orchestrator.core.draft import Draft
from orchestrator.core.model import NEVER, JobRecord, Overridden, Override
from orchestrator.core.reconcile.batch import ask_to_stop, stop_everything
from orchestrator.core.reconcile.by_type import evaluate, follow_nodes, matching
from orchestrator.core.schedule import schedule
from orchestrator.errors import (
    CannotRerunError,
    CannotStopError,
    JobEndedError,
    JobExistsError,
    NoChangesError,
    TypeChangedError,
)

RESERVED_META = "bacalhau.org/"
NOT_BEGUN = (JobStateType.UNDEFINED, JobStateType.PENDING, JobStateType.QUEUED)
RETRYABLE = frozenset({PartitionState.FAILED, PartitionState.STOPPED})


def decide(draft: Draft, command: Decision) -> Reply:
    """Write what `command` changes into the draft and return its answer.

    Raises OrchestratorError for what cannot be done; the caller then rolls the draft back to before it.
    """
    match command:
        case Submit():
            return submit(draft, command)
        case Stop():
            return stop(draft, command)
        case Retry():
            return retry(draft, command)
        case StopPartitions():
            return stop_partitions(draft, command)
        case Rerun():
            return rerun(draft, command)
        case Suspend():
            return suspend(draft, command.job_id, command.reason)
        case Resume():
            return resume(draft, command.job_id)
        case Drain() | Undrain() | Approve() | Reject() | DeleteNode():
            return membership.change(draft, command)
        case Sync():
            nodes.sync(draft, command.node_id, command.request)
            return None
        case Tick():
            nodes.tick(draft, command.due, command.late_by)
            return None


def conclude(draft: Draft) -> None:
    """End a batch: evaluate each touched job once, then place what waits."""
    if draft.has_node_changes:
        follow_nodes(draft)
    for job_id in list(draft.touched):
        evaluate(draft, job_id)
    schedule(draft)


def submit(draft: Draft, command: Submit) -> Submitted:
    """A new job, or a new version of the one of that name."""
    wanted = command.job
    known = draft.find(wanted.namespace, wanted.name) if wanted.name else None
    if known is None:
        return begin(draft, wanted)
    old = draft.job(known).job
    if wanted.type is not old.type:
        raise TypeChangedError(old.name, old.type, wanted.type)
    if not command.is_forced and spec_of(wanted) == spec_of(old):
        raise NoChangesError(old.name, old.id)
    return update(draft, old, wanted, "Job update requested by user", "Job updated")


def begin(draft: Draft, wanted: Job) -> Submitted:
    """A job that was not known."""
    job_id = wanted.id or JobId(f"j-{draft.new_id()}")
    if draft.known_job(job_id):
        raise JobExistsError(job_id)
    job = replace(
        wanted,
        id=job_id,
        name=wanted.name or job_id,
        meta=meta_of(draft, wanted),
        state=JobState(state_type=JobStateType.PENDING),
        version=1,
        revision=1,
        create_time=draft.now,
        modify_time=draft.now,
    )
    draft.begin_version(record_of(draft, job))
    draft.tell(job_id, Topic.SUBMISSION, "Job submitted")
    return begun(draft, job)


def rerun(draft: Draft, command: Rerun) -> Submitted:
    """A new version from the spec of an older one, or of the same again."""
    old = draft.job(command.job_id).job
    for state in (command.job.state.state_type, old.state.state_type):
        if state in NOT_BEGUN:
            raise CannotRerunError(state)
    return update(draft, old, command.job, "job rerun", "Job rerun requested", command.reason or "job rerun")


def update(draft: Draft, old: Job, wanted: Job, message: str, told: str, reason: str = "") -> Submitted:
    """A new version of a known job; what the older one runs is stopped."""
    for execution in draft.all_live(old.id).values():
        ask_to_stop(draft, execution, Cause.CANCELLED, "Execution stopped for job update")
    job = replace(
        wanted,
        id=old.id,
        name=old.name,
        type=old.type,
        meta=meta_of(draft, wanted),
        state=JobState(state_type=JobStateType.PENDING, message=message),
        version=old.version + 1,
        revision=old.revision + 1,
        create_time=old.create_time,
        modify_time=draft.now,
    )
    draft.begin_version(record_of(draft, job))
    draft.tell(job.id, Topic.SUBMISSION, told, {"Reason": reason} if reason else None)
    return begun(draft, job)


def record_of(draft: Draft, job: Job) -> JobRecord:
    """The record of a version that begins."""
    return JobRecord(job=job, began=draft.now, targets=matching(draft, job) if job.type in PINNED else ())


def begun(draft: Draft, job: Job) -> Submitted:
    """Set the clock of a version that has begun, and have it evaluated."""
    remind_of_timeout(draft, job)
    return Submitted(job_id=job.id, version=job.version, evaluation_id=draft.touch(job.id))


def remind_of_timeout(draft: Draft, job: Job) -> None:
    """Look at the job when its TotalTimeout ends."""
    total = job.task.timeouts.total_timeout
    if total:
        draft.remind(Deadline(draft.later(total), Kind.JOB, job.id))


def meta_of(draft: Draft, wanted: Job) -> dict[str, str]:
    """The user's metadata, and who took the job in."""
    ours = draft.cluster.orchestrator_id
    return wanted.meta | {
        "bacalhau.org/orchestrator.id": ours,
        "bacalhau.org/requester.id": ours,
        "bacalhau.org/server.instance.id": draft.cluster.id,
    }


def spec_of(job: Job) -> Job:
    """What counts when two submissions are compared: no ids, states, times, nor metadata of the system."""
    return replace(
        job,
        id=JobId(""),
        name="",
        meta={key: value for key, value in job.meta.items() if not key.startswith(RESERVED_META)},
        state=JobState(state_type=JobStateType.UNDEFINED),
        version=0,
        revision=0,
        create_time=NEVER,
        modify_time=NEVER,
    )


def stop(draft: Draft, command: Stop) -> Evaluated:
    """Stop a job: it is Stopped at once, its executions when their nodes say so."""
    job = draft.job(command.job_id).job
    state = job.state.state_type
    match state:
        case JobStateType.STOPPED:
            return Evaluated(evaluation_id="")
        case JobStateType.COMPLETED | JobStateType.FAILED:
            raise CannotStopError(job.id, state)
        case JobStateType.UNDEFINED | JobStateType.PENDING | JobStateType.QUEUED | JobStateType.RUNNING:
            details = {"Reason": command.reason} if command.reason else {}
            counts = draft.counts(job.id)
            unfinished = sum(counts) - sum(counts[state] for state in SETTLED)
            draft.tell(job.id, Topic.SCHEDULING, "Job requested to stop before completion", details)
            stop_everything(
                draft,
                job.id,
                JobStateType.STOPPED,
                command.reason,
                "Execution stop requested because job has been stopped",
            )
            return Evaluated(evaluation_id=draft.touch(job.id), count=unfinished)


def suspend(draft: Draft, job_id: JobId, reason: str) -> Evaluated:
    """Place nothing more of a job, and take back what has not begun."""
    record = unended(draft, job_id, lambda _: "nothing of it runs any more, so that there is nothing to hold back")
    if record.is_suspended:
        return Evaluated(evaluation_id="")
    message = f"Suspended: {reason}" if reason else "Suspended"
    draft.tell(job_id, Topic.SCHEDULING, "Job suspended", {"Reason": reason} if reason else None)
    draft.set_job(replace(record, is_suspended=True, queued_since=NEVER, hopeless_since=NEVER))
    draft.turn_job(job_id, record.job.state.state_type, message)
    for execution_id in draft.all_live(job_id).values():
        node = draft.node(draft.live_execution(execution_id).node_id)
        if node is not None and execution_id in node.backlog:
            ask_to_stop(draft, execution_id, Cause.WITHDRAWN, "Execution withdrawn: its job was suspended")
    return Evaluated(evaluation_id=draft.touch(job_id))


def resume(draft: Draft, job_id: JobId) -> Evaluated:
    """Place a suspended job again."""
    record = unended(draft, job_id, again)
    if not record.is_suspended:
        return Evaluated(evaluation_id="")
    draft.tell(job_id, Topic.SCHEDULING, "Job resumed")
    draft.set_job(replace(record, is_suspended=False))
    draft.turn_job(job_id, record.job.state.state_type)
    return Evaluated(evaluation_id=draft.touch(job_id))


def unended(draft: Draft, job_id: JobId, advice: Callable[[Job], str]) -> JobRecord:
    """A job that has not ended, or JobEndedError with what can be done instead."""
    record = draft.job(job_id)
    if record.job.state.state_type.is_terminal:
        raise JobEndedError(job_id, record.job.state.state_type, advice(record.job))
    return record


def again(job: Job) -> str:
    """How an ended job is run once more."""
    match job.state.state_type:
        case JobStateType.FAILED:
            return f"run its failed partitions again with: shoal job retry {job.id} --failed"
        case JobStateType.STOPPED:
            return f"run its stopped partitions again with: shoal job retry {job.id} --select stopped"
        case _:
            return f"run all of it again with: shoal job rerun {job.id}"


def retry(draft: Draft, command: Retry) -> Acted:
    """Queue failed and stopped partitions again, with fresh budgets, in the same job."""
    job_id = command.job_id
    takes = RETRYABLE | ({PartitionState.COMPLETED} if command.include_completed else set())
    taken = [(index, state) for index, state in states(draft, job_id, command.partitions) if state in takes]
    if command.is_dry_run or not taken:
        return acted(taken)
    record = draft.job(job_id)
    draft.set_job(replace(record, began=draft.now, first_failure=""))
    remind_of_timeout(draft, record.job)
    if record.job.state.state_type.is_terminal:
        draft.set_job(replace(draft.job(job_id), queued_since=NEVER, hopeless_since=NEVER, was_placed=False))
        draft.turn_job(job_id, JobStateType.PENDING, "Job retry requested")
    override_partitions(draft, job_id, [index for index, _ in taken], command.override)
    untouched = [index for index, _ in taken if draft.is_untouched(job_id, index)]
    if untouched and len(untouched) == draft.untouched_count(job_id):
        draft.set_untouched(job_id, PartitionState.WAITING)
        taken_singly = [index for index, _ in taken if not draft.is_untouched(job_id, index)]
    else:
        taken_singly = [index for index, _ in taken]
    for index in taken_singly:
        row = draft.row(job_id, index)
        state = PartitionState.RETRYING if row.attempts else PartitionState.WAITING
        fresh = replace(row, state=state, billed=0, lost=0, retry_due=NEVER, accepted=ExecutionId(""))
        draft.set_row(fresh)
    draft.tell(job_id, Topic.SUBMISSION, f"Job retry requested for {count_of(len(taken))}")
    return acted(taken, draft.touch(job_id))


def override_partitions(draft: Draft, job_id: JobId, indices: list[int], override: Override | None) -> None:
    """Have partitions run with `override` from now on; without one, as the job says again."""
    record = draft.job(job_id)
    if override is None and not record.overrides:
        return
    kept = record.overrides if len(indices) < record.width else ()
    changed = Overridden(partitions=format_ranges(indices), override=override)
    draft.set_job(replace(record, overrides=(*kept, changed) if override or kept else ()))


def stop_partitions(draft: Draft, command: StopPartitions) -> Acted:
    """Stop unfinished partitions; the others of the job go on."""
    job_id = command.job_id
    taken = [(index, state) for index, state in states(draft, job_id, command.partitions) if state not in SETTLED]
    if command.is_dry_run or not taken:
        return acted(taken)
    details = {"Reason": command.reason} if command.reason else {}
    draft.tell(job_id, Topic.SCHEDULING, f"Stop requested for {count_of(len(taken))}", details)
    untouched = [index for index, _ in taken if draft.is_untouched(job_id, index)]
    is_bulk = bool(untouched) and len(untouched) == draft.untouched_count(job_id)
    if is_bulk:
        draft.set_untouched(job_id, PartitionState.STOPPED)
    for index, _ in taken:
        if is_bulk and draft.is_untouched(job_id, index):
            continue
        execution = draft.live(job_id, index)
        if execution:
            message = "Execution stop requested because its partition has been stopped"
            ask_to_stop(draft, execution, Cause.CANCELLED, message)
        draft.set_row(replace(draft.row(job_id, index), state=PartitionState.STOPPED, retry_due=NEVER))
    return acted(taken, draft.touch(job_id))


def states(draft: Draft, job_id: JobId, ranges: Iterable[range]) -> Iterator[tuple[int, PartitionState]]:
    """Partitions of some ranges that exist, with their states."""
    count = draft.job(job_id).width
    for piece in ranges:
        for index in range(max(0, piece.start), min(count, piece.stop)):
            yield index, draft.state(job_id, index)


def acted(taken: list[tuple[int, PartitionState]], evaluation_id: str = "") -> Acted:
    """The answer to an action on partitions."""
    by_state: dict[str, int] = {}
    for _, state in taken:
        by_state[state.word] = by_state.get(state.word, 0) + 1
    return Acted(count=len(taken), by_state=by_state, evaluation_id=evaluation_id)


def count_of(number: int) -> str:
    """`1 partition`, `2 partitions`."""
    return "1 partition" if number == 1 else f"{number} partitions"
