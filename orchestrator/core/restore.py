"""The cluster of a snapshot: what a restarted orchestrator goes on with. Nothing is run again because of a restart."""

from orchestrator.contract.execution import DesiredState
from orchestrator.contract.ids import JobId, NodeId, Timestamp, after
from orchestrator.contract.node import Connection
from orchestrator.core.cluster import Cluster, JobEntry, NodeEntry, need_of
from orchestrator.core.deadlines import Deadline, Kind
from orchestrator.core.model import JobRecord, PartitionRecord, Snapshot


def restore(
    snapshot: Snapshot,
    orchestrator_id: NodeId,
    *,
    lease: float,
    fence: float,
    approves_by_hand: bool = False,
    now: Timestamp,
) -> Cluster:
    """The cluster as it was, every node with one full lease from now."""
    cluster = Cluster(snapshot.cluster_id, orchestrator_id, lease=lease, fence=fence, approves_by_hand=approves_by_hand)
    for record in snapshot.nodes:
        cluster.nodes[record.id] = NodeEntry(record=record, lease_until=after(now, lease))
    latest: dict[JobId, JobRecord] = {}
    versions: dict[tuple[JobId, int], JobRecord] = {}
    for job in snapshot.jobs:
        versions[job.job.id, job.job.version] = job
        known = latest.get(job.job.id)
        if known is None or known.job.version < job.job.version:
            latest[job.job.id] = job
    for job in latest.values():
        cluster.jobs[job.job.id] = JobEntry(job, snapshot.next_seqs.get(job.job.id, 1))
    for row in snapshot.partitions:
        entry = cluster.jobs.get(row.job_id)
        if entry and entry.record.job.version == row.job_version:
            entry.put(row)
    for execution in snapshot.executions:
        version = versions[execution.job_id, execution.job_version]
        cluster.executions[execution.id] = execution
        cluster.nodes[execution.node_id].live[execution.id] = need_of(version.job, execution.override)
        entry = cluster.jobs[execution.job_id]
        if entry.record.job.version == execution.job_version:
            entry.live[execution.index] = execution.id
            entry.refresh(execution.index)
    for entry in list(cluster.jobs.values()):
        cluster.add_job(entry)
        remind_of_job(cluster, entry, now)
    for node in cluster.nodes.values():
        remind_of_node(cluster, node, now)
    return cluster


def filled(record: JobRecord, next_seq: int, rows: list[PartitionRecord]) -> JobEntry:
    """The arrays of a stored job."""
    entry = JobEntry(record, next_seq)
    for row in rows:
        entry.put(row)
    return entry


def remind_of_job(cluster: Cluster, entry: JobEntry, now: Timestamp) -> None:
    """Set what is due for a job: its timeouts, its backoffs."""
    job = entry.record.job
    if job.state.state_type.is_terminal:
        return
    cluster.deadlines.add(Deadline(now, Kind.JOB, job.id))
    total = job.task.timeouts.total_timeout
    if total:
        cluster.deadlines.add(Deadline(after(entry.record.began, total), Kind.JOB, job.id))
    for index, due in entry.due.items():
        cluster.deadlines.add(Deadline(due, Kind.BACKOFF, job.id, index))


def remind_of_node(cluster: Cluster, node: NodeEntry, now: Timestamp) -> None:
    """Set what is due for a node: the end of its lease, or of its fence while it holds what should have stopped."""
    draining = node.record.draining
    if draining is not None and draining.deadline:
        cluster.deadlines.add(Deadline(draining.deadline, Kind.DRAIN, node.id))
    if node.record.connection is Connection.CONNECTED:
        cluster.deadlines.add(Deadline(node.lease_until, Kind.LEASE, node.id))
        return
    stopping = [e for e in node.live if cluster.executions[e].desired is DesiredState.STOPPED]
    if stopping:
        cluster.deadlines.add(Deadline(after(now, cluster.fence), Kind.FENCE, node.id))
