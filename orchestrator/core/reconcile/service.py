"""Services and daemons: whatever ends is begun again, after a wait that grows while it does not stay up, without end."""

from msgspec.structs import replace

from orchestrator.contract.execution import Cause, Payer
from orchestrator.contract.ids import JobId, after
from orchestrator.contract.partitions import SETTLED, PartitionState
from orchestrator.core.cluster import ACTIVE
from orchestrator.core.draft import Draft
from orchestrator.core.model import NEVER, ExecutionRecord
from orchestrator.core.reconcile import batch
from orchestrator.core.retry import next_due

STEADY = 60.0
"""Seconds; an execution that ran longer was up: its end is counted as the first."""
MOST = 255
"""Failures are counted up to this."""


def after_failure(draft: Draft, execution: ExecutionRecord, cause: Cause) -> None:
    """Queue the partition again, unless it was settled meanwhile."""
    row = draft.row(execution.job_id, execution.index)
    if row.state not in ACTIVE:
        return
    if cause.payer is Payer.NOBODY:
        draft.set_row(replace(row, state=PartitionState.RETRYING, retry_due=NEVER))
        return
    was_up = bool(execution.started) and after(execution.started, STEADY) <= execution.finished
    failures = 1 if was_up else min(row.billed + 1, MOST)
    backoff = draft.job(execution.job_id).job.retry_policy.backoff
    due = next_due(backoff, failures, cause, draft.now, batch.seed_of(execution))
    retry_due = due if due > draft.now else NEVER
    draft.set_row(replace(row, state=PartitionState.RETRYING, billed=failures, retry_due=retry_due))


def evaluate(draft: Draft, job_id: JobId) -> None:
    """Services and daemons end only when all of their partitions were stopped."""
    record = draft.job(job_id)
    counts = draft.counts(job_id)
    if record.width and sum(counts[state] for state in SETTLED) == record.width:
        batch.end(draft, job_id, counts)
