"""Ops jobs: one partition for each matching node, with retries there; a node that is gone fails its partition."""

from msgspec.structs import replace

from orchestrator.contract.execution import Cause
from orchestrator.contract.history import Topic
from orchestrator.contract.ids import JobId
from orchestrator.contract.partitions import PartitionState
from orchestrator.core.cluster import ACTIVE, HUNGRY
from orchestrator.core.draft import Draft
from orchestrator.core.model import NEVER, ExecutionRecord
from orchestrator.core.queueing import judge_queue
from orchestrator.core.reconcile import batch

GONE = "its node is gone"


def after_failure(draft: Draft, execution: ExecutionRecord, cause: Cause, *, had_begun: bool) -> None:
    """Try again on the same node, within the budgets of a batch job; a node that was lost is not waited for."""
    row = draft.row(execution.job_id, execution.index)
    if cause is Cause.NODE_LOST and row.state in ACTIVE:
        draft.set_row(replace(row, state=PartitionState.FAILED, retry_due=NEVER))
        batch.give_up(draft, execution, GONE)
    else:
        batch.after_failure(draft, execution, cause, had_begun=had_begun)


def evaluate(draft: Draft, job_id: JobId) -> None:
    """As a batch job; one that no node matches waits like one that finds no room."""
    record = draft.job(job_id)
    if not record.width:
        judge_queue(draft, job_id)
        return
    for index, target in enumerate(record.targets):
        node = draft.node(target)
        if (node is None or not node.is_usable) and draft.state(job_id, index) in HUNGRY:
            draft.set_row(replace(draft.row(job_id, index), state=PartitionState.FAILED, retry_due=NEVER))
            draft.tell(
                job_id, Topic.SCHEDULING, f"Partition {index} failed: node {target} is gone", {"IsError": "true"}
            )
            if not draft.job(job_id).first_failure:
                draft.set_job(replace(draft.job(job_id), first_failure=f"partition {index}: {GONE}"))
    batch.evaluate(draft, job_id)
