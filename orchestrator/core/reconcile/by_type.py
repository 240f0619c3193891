"""Which rules hold for a job, by its type."""

from orchestrator.contract.execution import Cause
from orchestrator.contract.ids import JobId, NodeId
from orchestrator.contract.job import Job, JobType
from orchestrator.core.cluster import need_of
from orchestrator.core.draft import Draft
from orchestrator.core.model import ExecutionRecord
from orchestrator.core.placement import judge
from orchestrator.core.reconcile import batch, ops, service


def after_failure(draft: Draft, execution: ExecutionRecord, cause: Cause, *, had_begun: bool) -> None:
    """Decide what follows for the partition of a current execution that ended without success."""
    match draft.job(execution.job_id).job.type:
        case JobType.BATCH:
            batch.after_failure(draft, execution, cause, had_begun=had_begun)
        case JobType.OPS:
            ops.after_failure(draft, execution, cause, had_begun=had_begun)
        case JobType.SERVICE | JobType.DAEMON:
            service.after_failure(draft, execution, cause)


def evaluate(draft: Draft, job_id: JobId) -> None:
    """Look at a job that something happened to."""
    job = draft.job(job_id).job
    if job.state.state_type.is_terminal:
        return
    match job.type:
        case JobType.BATCH:
            batch.evaluate(draft, job_id)
        case JobType.OPS:
            ops.evaluate(draft, job_id)
        case JobType.SERVICE | JobType.DAEMON:
            service.evaluate(draft, job_id)


def follow_nodes(draft: Draft) -> None:
    """Nodes changed: give jobs that run on every matching node a partition for those that match now."""
    for job_id in [*draft.cluster.following]:
        record = draft.job(job_id)
        if record.job.state.state_type.is_terminal:
            continue
        draft.touch(job_id)
        new = tuple(node for node in matching(draft, record.job) if node not in record.targets)
        if new:
            draft.widen(job_id, new)


def matching(draft: Draft, job: Job) -> tuple[NodeId, ...]:
    """Nodes that take part and could take a job, in the order of their names."""
    need = need_of(job, None)
    usable = [node for node in draft.nodes() if node.is_usable and node.record.draining is None]
    return tuple(sorted(node.id for node in usable if judge(job, need, node.record.info) is None))
