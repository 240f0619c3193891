"""What a node says about its executions, made true here.

Total: a report that makes no sense (of an unknown or another node's execution, or going back) is ignored and counted.
"""

from collections import Counter

from msgspec.structs import replace

from orchestrator.contract.agent import End, Report, SyncRequest
from orchestrator.contract.execution import Cause, DesiredState, ExecutionState
from orchestrator.contract.history import Topic
from orchestrator.contract.ids import SECOND, Timestamp, after
from orchestrator.contract.job import ENDLESS
from orchestrator.contract.node import MOST_SHOWN
from orchestrator.contract.partitions import PartitionState
from orchestrator.core.cluster import ACTIVE, NodeEntry
from orchestrator.core.draft import Draft
from orchestrator.core.lifecycle import NEXT_OF_EXECUTION, PARTITION_OF, advance
from orchestrator.core.model import NEVER, ExecutionRecord, NodeRecord, TailRecord
from orchestrator.core.reconcile import batch, by_type

MINUTE = 60 * SECOND
NO_END = End(cause=Cause.AGENT, message="the node reported an end without saying how")


def observe(draft: Draft, node: NodeEntry, request: SyncRequest) -> None:
    """Take in every report of a sync, and what the sync does not name although an earlier session had it."""
    for report in request.reports:
        execution = draft.execution(report.execution_id)
        if execution is None or execution.node_id != node.id:
            if execution is not None or not report.state.is_terminal:
                draft.ignore_report()
            continue
        if report.state is not execution.state:
            take(draft, execution, report)
    for execution_id in sorted(node.live.keys() - node.named):
        execution = draft.live_execution(execution_id)
        if execution.session != request.session:
            lose(draft, execution, Cause.AGENT, "the node's agent was restarted and has lost it")
        elif execution.desired is DesiredState.STOPPED:
            await_silence(draft, node, execution, request.seq)
    if node.silent_stops:
        node.silent_stops = {e: seq for e, seq in node.silent_stops.items() if e in node.live and e not in node.named}


def await_silence(draft: Draft, node: NodeEntry, execution: ExecutionRecord, seq: int) -> None:
    """End a stopped execution that the node never named, once no answer that named it can still be on its way.

    A node has at most two syncs under way, so an answer from before the first silent sync has arrived, or never will, when
    the second one after that is observed.
    """
    first = node.silent_stops.setdefault(execution.id, seq)
    if seq >= first + 2:
        finish(draft, execution, ExecutionState.CANCELLED, End(cause=execution.stop_cause))
    else:
        node.turn += 1  # answered at once, so that the node speaks again at once


def take(draft: Draft, execution: ExecutionRecord, report: Report) -> None:
    """Take in a report that differs from what we had."""
    if report.state not in NEXT_OF_EXECUTION[execution.state]:
        draft.ignore_report()
        return
    if report.state.is_terminal:
        end = report.end or NO_END
        began = began_at(draft, execution, end)
        if began is not execution:
            draft.tell(execution.job_id, Topic.EXECUTION, "Running", execution=execution)
        finish(draft, began, report.state, end)
        return
    moved = advance(execution, report.state, draft.now)
    if moved.desired is DesiredState.PENDING:
        moved = replace(moved, desired=DesiredState.RUNNING, desired_message="Running", message="Running")
    if execution.started == NEVER:
        moved = replace(moved, started=after(draft.now, -(report.running_ago or 0.0)))
        draft.tell(execution.job_id, Topic.EXECUTION, "Running", execution=moved)
    draft.set_execution(moved)
    move_partition(draft, moved, PARTITION_OF[report.state])


def move_partition(draft: Draft, execution: ExecutionRecord, to: PartitionState) -> None:
    """Let the partition follow its current execution, unless it was settled or queued again meanwhile."""
    job_id = execution.job_id
    if draft.live(job_id, execution.index) != execution.id:
        return
    row = draft.row(job_id, execution.index)
    if row.state in ACTIVE:
        draft.set_row(replace(row, state=to))


def began_at(draft: Draft, execution: ExecutionRecord, end: End) -> ExecutionRecord:
    """The execution with the start that its end tells of, where we had not heard of the start before."""
    if execution.started != NEVER or end.run_seconds is None:
        return execution
    return replace(execution, started=after(draft.now, -(end.ended_ago + end.run_seconds)))


def finish(draft: Draft, execution: ExecutionRecord, state: ExecutionState, end: End) -> None:
    """End an execution as its node says it ended, and decide what follows for its partition.

    A success counts whatever was desired, unless the partition has one already or the job's version is not current.
    """
    is_current = draft.live(execution.job_id, execution.index) == execution.id
    is_success = state is ExecutionState.COMPLETED and end.cause is None
    cause, message = end.cause, end.message
    if is_success and is_current and draft.job(execution.job_id).job.type in ENDLESS:
        is_success, state, cause = False, ExecutionState.FAILED, Cause.EXIT
        message = "execution completed unexpectedly"
    if is_success and not (is_current and accepts(draft, execution)):
        state, cause, message = ExecutionState.CANCELLED, Cause.SUPERSEDED, "its partition needs no further success"
    elif not is_success:
        if execution.desired is DesiredState.STOPPED:
            state, cause = ExecutionState.CANCELLED, execution.stop_cause
            message = execution.desired_message
        elif state is not ExecutionState.CANCELLED:
            state = ExecutionState.FAILED
        cause = cause or Cause.AGENT
    had_begun = execution.state is not ExecutionState.ASSIGNED or execution.started != NEVER
    ended = replace(
        advance(execution, state, draft.now),
        desired=DesiredState.STOPPED,
        desired_message=execution.desired_message
        if execution.desired is DesiredState.STOPPED
        else desired_message(state),
        message=message,
        cause=cause,
        exit_code=end.exit_code,
        run_output=end.run_output,
        published=end.published_result if state is ExecutionState.COMPLETED else None,
        log_truncated=end.log_truncated,
        finished=after(draft.now, -end.ended_ago),
    )
    tell_end(draft, ended)
    for tail in end.tails:
        draft.keep_tail(TailRecord(execution_id=ended.id, tail=tail))
    draft.release(ended)
    if is_current:
        if state is ExecutionState.COMPLETED:
            batch.after_success(draft, ended)
        elif cause is not None:
            by_type.after_failure(draft, ended, cause, had_begun=had_begun)
        if end.run_seconds is not None:
            draft.note_run(ended.job_id, end.run_seconds)
    note_end(draft, ended, draft.state(ended.job_id, ended.index) if is_current else PartitionState.STOPPED)
    draft.touch(ended.job_id)


def note_end(draft: Draft, ended: ExecutionRecord, became: PartitionState) -> None:
    """Keep with the node what came of an execution there."""
    node = draft.change_node(ended.node_id)
    node.ended = (node.ended + bytes([became]))[-MOST_SHOWN:]
    if ended.state is ExecutionState.FAILED:
        minutes = failed_lately(node.record, draft.now)
        minutes[draft.now // MINUTE] += 1
        node.record = replace(node.record, failures=tuple(minutes.items()))
        draft.overlay.write(draft.overlay.failed_on, node.id, None)


def failed_lately(record: NodeRecord, now: Timestamp) -> Counter[int]:
    """How many executions failed on a node in each of the last 60 minutes in which any did."""
    return Counter({minute: count for minute, count in record.failures if minute > now // MINUTE - 60})


def accepts(draft: Draft, execution: ExecutionRecord) -> bool:
    """Whether the partition of a current execution still needs a success."""
    return draft.state(execution.job_id, execution.index) is not PartitionState.COMPLETED


def lose(draft: Draft, execution: ExecutionRecord, cause: Cause, message: str) -> None:
    """End an execution of which there is no word any more. Nothing is accepted from it afterwards."""
    state = ExecutionState.CANCELLED if execution.desired is DesiredState.STOPPED else ExecutionState.FAILED
    finish(draft, execution, state, End(cause=cause, message=message))


def desired_message(state: ExecutionState) -> str:
    """What Bacalhau writes beside a desired state that ended with the execution."""
    return "execution completed" if state is ExecutionState.COMPLETED else "execution failed"


def tell_end(draft: Draft, execution: ExecutionRecord) -> None:
    """Add the line of history for an end."""
    job_id = execution.job_id
    if execution.state is ExecutionState.COMPLETED:
        draft.tell(job_id, Topic.EXECUTION, "Completed successfully", execution=execution)
        return
    if execution.state is ExecutionState.CANCELLED and execution.cause is not Cause.SUPERSEDED:
        return  # told when it was asked to stop
    cause = execution.cause or Cause.AGENT
    details = {"IsError": "true", "Cause": str(cause)}
    if execution.exit_code is not None:
        details["ExitCode"] = str(execution.exit_code)
    topic = {
        Cause.PUBLISH: Topic.PUBLISHING,
        Cause.NODE_LOST: Topic.SCHEDULING,
        Cause.AGENT: Topic.SCHEDULING,
        Cause.INPUT: Topic.PREPARING,
        Cause.IMAGE: Topic.PREPARING,
        Cause.IMAGE_PULL: Topic.PREPARING,
    }.get(cause, Topic.RUNNING)
    words = execution.message or (f"exit code {execution.exit_code}" if execution.exit_code is not None else str(cause))
    draft.tell(job_id, topic, words, details, execution)
