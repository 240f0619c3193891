"""Making a batch visible: the overlay goes into the cluster, after the commit."""

from collections.abc import Iterable
from typing import Any

import msgspec

from orchestrator.contract.execution import DesiredState
from orchestrator.contract.ids import JobId, NodeId
from orchestrator.core.cluster import Cluster, JobEntry
from orchestrator.core.model import ExecutionRecord
from orchestrator.core.overlay import Overlay


class Put(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch changed, for whoever waits."""

    jobs: list[JobId]
    whole: frozenset[JobId]
    """Jobs of which all partitions changed, or so many that they are not listed."""
    rows: dict[JobId, list[int]]
    """Partitions that changed, by job."""
    executions: list[ExecutionRecord]
    nodes: list[NodeId]

    @property
    def stopping(self) -> dict[JobId, list[int]]:
        """Partitions whose execution should stop now, or has ended after it should: their stopping bit changed."""
        changed: dict[JobId, list[int]] = {}
        for execution in self.executions:
            if execution.desired is DesiredState.STOPPED:
                changed.setdefault(execution.job_id, []).append(execution.index)
        return changed


def put(cluster: Cluster, overlay: Overlay) -> Put:
    """Put all changes into the cluster."""
    for node_id, node in overlay.nodes.items():
        cluster.nodes[node_id] = node
    for node_id in overlay.deleted:
        cluster.nodes.pop(node_id, None)
    for execution in overlay.executions.values():
        if execution.state.is_terminal:
            cluster.executions.pop(execution.id, None)
        else:
            cluster.executions[execution.id] = execution
    for job_id, entry in overlay.entries.items():
        cluster.jobs[job_id] = entry
    cluster.names |= overlay.names
    for job_id, record in overlay.jobs.items():
        cluster.jobs[job_id].take(record)
    changed = changed_jobs(overlay)
    for job_id in changed:
        put_job(cluster, overlay, cluster.jobs[job_id])
    for deadline in overlay.deadlines:
        cluster.deadlines.add(deadline)
    cluster.ignored_reports += overlay.ignored
    return Put(
        jobs=changed,
        whole=frozenset(overlay.entries) | frozenset(overlay.untouched) | frozenset(overlay.wider),
        rows={job_id: list(rows) for job_id, rows in overlay.rows.items()},
        executions=list(overlay.executions.values()),
        nodes=list(overlay.nodes),
    )


def changed_jobs(overlay: Overlay) -> list[JobId]:
    """Every job of which anything changed."""
    sources: Iterable[dict[JobId, Any]] = (
        overlay.jobs,
        overlay.rows,
        overlay.live,
        overlay.seqs,
        overlay.ripe,
        overlay.means,
        overlay.passed_over,
    )
    return list(dict.fromkeys(job_id for source in sources for job_id in source))


def put_job(cluster: Cluster, overlay: Overlay, entry: JobEntry) -> None:
    """Put what changed of one job into its arrays."""
    job_id = entry.id
    if job_id in overlay.untouched:
        entry.put_untouched(overlay.untouched[job_id])
    for index in overlay.ripe.get(job_id, ()):
        entry.ripen(index)
    for row in overlay.rows.get(job_id, {}).values():
        entry.put(row)
    for index, execution in overlay.live.get(job_id, {}).items():
        if execution:
            entry.live[index] = execution
        else:
            entry.live.pop(index, None)
        entry.refresh(index)
    entry.next_seq = overlay.seqs.get(job_id, entry.next_seq)
    entry.mean_run = overlay.means.get(job_id, entry.mean_run)
    entry.passed_over = overlay.passed_over.get(job_id, entry.passed_over)
    cluster.note_waiting(entry)
