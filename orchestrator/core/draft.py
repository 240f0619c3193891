"""What a batch of commands changes: read through it, write to it, and put it into the cluster after the commit.

The cluster stays as it is until `put`, so nothing is visible before it is durable. `mark` and `rollback` drop the part of a
command that raised.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from orchestrator.contract.history import Level
from orchestrator.contract.ids import ExecutionId, JobId, NodeId, Timestamp, after
from orchestrator.contract.job import JobStateType
from orchestrator.contract.node import Resources
from orchestrator.contract.partitions import PartitionState
from orchestrator.core.cluster import ACTIVE, HUNGRY, Cluster, JobEntry, NodeEntry
from orchestrator.core.commands import NewId
from orchestrator.core.deadlines import Deadline, Kind
from orchestrator.core.lifecycle import turn
from orchestrator.core.model import (
    Changes,
    ExecutionRecord,
    Happening,
    JobRecord,
    NodeRecord,
    PartitionRecord,
    TailRecord,
)
from orchestrator.core.overlay import Mark, Overlay
from orchestrator.core.put import Put, put

MEAN_WEIGHT = 0.2
"""Of a new run time in a job's moving average."""


class Draft:
    """The cluster as it will be. `now` is the batch's time, `new_id` gives UUIDs."""

    def __init__(self, cluster: Cluster, now: Timestamp, new_id: NewId) -> None:
        self.cluster = cluster
        self.now = now
        self.new_id = new_id
        self.touched: dict[JobId, str] = {}
        """Jobs to evaluate, with the id of the evaluation."""
        self.freed: dict[NodeId, None] = {}
        """Nodes that may have room now."""
        self.is_unfinished = False
        """Whether there is more to schedule than one batch should: a further one has to follow at once."""
        self.is_continuation = False
        """Whether the batch before was unfinished."""
        self.overlay = Overlay()
        self._own_nodes: set[NodeId] = set()
        """Nodes copied since the last mark: only those may be changed in place."""

    # Reading

    @property
    def has_node_changes(self) -> bool:
        """Whether a node came, left or changed in this batch."""
        return bool(self.overlay.node_records or self.overlay.deleted)

    def job_ids(self) -> list[JobId]:
        """Jobs with waiting partitions as of the cluster, and those that this batch touched."""
        return list(dict.fromkeys([*self.cluster.hungry, *self.touched]))

    def entry(self, job_id: JobId) -> JobEntry:
        """The arrays of a job; what this batch changed is not in them. Raises KeyError."""
        return self.overlay.entries.get(job_id) or self.cluster.jobs[job_id]

    def job(self, job_id: JobId) -> JobRecord:
        """The record of a job. Raises KeyError."""
        return self.overlay.jobs.get(job_id) or self.cluster.jobs[job_id].record

    def find(self, namespace: str, name: str) -> JobId | None:
        """The job of that name."""
        return self.overlay.names.get((namespace, name)) or self.cluster.names.get((namespace, name))

    def row(self, job_id: JobId, index: int) -> PartitionRecord:
        """One partition of the current version."""
        row = self.overlay.rows.get(job_id, {}).get(index)
        if row:
            return row
        entry = self.entry(job_id)
        row = entry.row(index)
        return row if entry.has_record[index] else replace(row, state=self.job(job_id).untouched)

    def state(self, job_id: JobId, index: int) -> PartitionState:
        """The state of one partition."""
        row = self.overlay.rows.get(job_id, {}).get(index)
        if row:
            return row.state
        entry = self.entry(job_id)
        return PartitionState(entry.states[index]) if entry.has_record[index] else self.job(job_id).untouched

    def counts(self, job_id: JobId) -> tuple[int, ...]:
        """Number of partitions in each state, by the number of the state."""
        return self.overlay.counts.get(job_id) or tuple(self.entry(job_id).counts)

    def waits(self, job_id: JobId) -> bool:
        """Whether any partition waits, backoffs included."""
        counts = self.counts(job_id)
        return any(counts[state] for state in HUNGRY)

    def active(self, job_id: JobId) -> int:
        """Number of partitions that are assigned, running or publishing."""
        counts = self.counts(job_id)
        return sum(counts[state] for state in ACTIVE)

    def untouched_count(self, job_id: JobId) -> int:
        """Number of partitions without a record."""
        entry = self.entry(job_id)
        new = self.job(job_id).width - len(entry.states)
        return (
            entry.untouched_count
            + new
            - sum(1 for index in self.overlay.rows.get(job_id, {}) if not entry.has_record[index])
        )

    def is_untouched(self, job_id: JobId, index: int) -> bool:
        """Whether a partition has no record."""
        return not self.entry(job_id).has_record[index] and index not in self.overlay.rows.get(job_id, {})

    def live(self, job_id: JobId, index: int) -> ExecutionId | None:
        """The execution of a partition that has not ended."""
        overlay = self.overlay.live.get(job_id, {})
        return overlay[index] if index in overlay else self.entry(job_id).live.get(index)

    def all_live(self, job_id: JobId) -> dict[int, ExecutionId]:
        """All executions of the current version that have not ended, by partition."""
        merged = self.entry(job_id).live | self.overlay.live.get(job_id, {})
        return {index: execution for index, execution in merged.items() if execution}

    def mean_run(self, job_id: JobId) -> float:
        """Seconds an execution of the job ran on average; 0 = not known."""
        return self.overlay.means.get(job_id) or self.entry(job_id).mean_run

    def passed_over(self, job_id: JobId) -> Timestamp:
        """Since when no room was found for a job that could be placed."""
        since = self.overlay.passed_over.get(job_id)
        return self.entry(job_id).passed_over if since is None else since

    def execution(self, execution_id: ExecutionId) -> ExecutionRecord | None:
        """An execution that has not ended, or ended in this batch."""
        return self.overlay.executions.get(execution_id) or self.cluster.executions.get(execution_id)

    def live_execution(self, execution_id: ExecutionId) -> ExecutionRecord:
        """An execution that is known to exist. Raises KeyError."""
        return self.overlay.executions.get(execution_id) or self.cluster.executions[execution_id]

    def later(self, seconds: float) -> Timestamp:
        """The time `seconds` from now."""
        return after(self.now, seconds)

    def known_job(self, job_id: str) -> JobId | None:
        """The job of that id, if it is in memory."""
        known = JobId(job_id)
        return known if known in self.overlay.entries or known in self.cluster.jobs else None

    def node(self, node_id: NodeId) -> NodeEntry | None:
        """A node; not to be changed."""
        if node_id in self.overlay.deleted:
            return None
        return self.overlay.nodes.get(node_id) or self.cluster.nodes.get(node_id)

    def nodes(self) -> Iterator[NodeEntry]:
        """All nodes; not to be changed."""
        for node_id in dict.fromkeys([*self.cluster.nodes, *self.overlay.nodes]):
            if node_id not in self.overlay.deleted:
                yield self.overlay.nodes.get(node_id) or self.cluster.nodes[node_id]

    # Writing

    def mark(self) -> Mark:
        """Where the draft stands, for `rollback`."""
        self._own_nodes.clear()
        return self.overlay.mark()

    def rollback(self, mark: Mark) -> None:
        """Undo everything since `mark`."""
        self._own_nodes.clear()
        self.overlay.rollback(mark)

    def touch(self, job_id: JobId) -> str:
        """Have the job evaluated at the end of the batch; returns the id of the evaluation."""
        if job_id not in self.touched:
            self.overlay.write(self.touched, job_id, self.new_id())
        return self.touched[job_id]

    def free(self, node_id: NodeId) -> None:
        """The node may have room."""
        self.overlay.write(self.freed, node_id, None)

    def begin_version(self, record: JobRecord) -> None:
        """A new job, or a new version of a known one: all its partitions wait."""
        job_id = record.job.id
        known = self.overlay.entries.get(job_id) or self.cluster.jobs.get(job_id)
        if known:
            version = (job_id, known.record.job.version)
            self.overlay.write(self.overlay.old_jobs, version, self.job(job_id))
            self.overlay.write(self.overlay.old_rows, version, list(self.overlay.rows.get(job_id, {}).values()))
            self.overlay.write(self.overlay.seqs, job_id, self.overlay.seqs.get(job_id, known.next_seq))
        self.overlay.write(self.overlay.entries, job_id, JobEntry(record, self.overlay.seqs.get(job_id, 1)))
        self.overlay.write(self.overlay.jobs, job_id, record)
        self.overlay.write(self.overlay.names, (record.job.namespace, record.job.name), job_id)
        for overlay in (
            self.overlay.rows,
            self.overlay.counts,
            self.overlay.live,
            self.overlay.untouched,
            self.overlay.ripe,
            self.overlay.means,
            self.overlay.passed_over,
        ):
            if job_id in overlay:
                self.overlay.drop(overlay, job_id)

    def set_job(self, record: JobRecord) -> None:
        """Replace a job's record."""
        job_id = record.job.id
        if record is not self.job(job_id):
            self.overlay.write(self.overlay.jobs, job_id, record)

    def turn_job(self, job_id: JobId, to: JobStateType, message: str = "") -> JobRecord:
        """Put a job into a state; returns the record."""
        record = turn(self.job(job_id), to, self.now, message)
        self.set_job(record)
        return record

    def set_row(self, row: PartitionRecord) -> None:
        """Replace a partition of the current version."""
        job_id = row.job_id
        old = self.state(job_id, row.index)
        if old is not row.state:
            counts = list(self.counts(job_id))
            counts[old] -= 1
            counts[row.state] += 1
            self.overlay.write(self.overlay.counts, job_id, tuple(counts))
        rows = self.overlay.rows.get(job_id)
        if rows is None:
            rows = {}
            self.overlay.write(self.overlay.rows, job_id, rows)
        self.overlay.write(rows, row.index, row)
        if row.retry_due > self.now:
            self.remind(Deadline(row.retry_due, Kind.BACKOFF, job_id, row.index))

    def set_untouched(self, job_id: JobId, state: PartitionState) -> None:
        """Move all partitions without a record, at the cost of one record."""
        record = self.job(job_id)
        number = self.untouched_count(job_id)
        counts = list(self.counts(job_id))
        counts[record.untouched] -= number
        counts[state] += number
        self.overlay.write(self.overlay.counts, job_id, tuple(counts))
        self.set_job(replace(record, untouched=state))
        self.overlay.write(self.overlay.untouched, job_id, state)
        self.is_unfinished = True

    def widen(self, job_id: JobId, targets: tuple[NodeId, ...]) -> None:
        """Add a waiting partition for each of these nodes; they are placed from the next batch on."""
        record = self.job(job_id)
        counts = list(self.counts(job_id))
        counts[record.untouched] += len(targets)
        self.overlay.write(self.overlay.counts, job_id, tuple(counts))
        self.set_job(replace(record, targets=record.targets + targets))
        self.overlay.write(self.overlay.wider, job_id, None)
        self.is_unfinished = True

    def set_execution(self, execution: ExecutionRecord) -> None:
        """Replace an execution, or add one."""
        self.overlay.write(self.overlay.executions, execution.id, execution)

    def assign(self, execution: ExecutionRecord, need: Resources, *, is_backlog: bool) -> None:
        """Add a new execution to its node and its partition."""
        self.set_execution(execution)
        self._set_live(execution.job_id, execution.index, execution.id)
        node = self.change_node(execution.node_id)
        node.live[execution.id] = need
        node.turn += 1
        if is_backlog:
            node.backlog |= {execution.id}

    def want_stopped(self, execution: ExecutionRecord) -> None:
        """Record that an execution should stop; its node is told by not naming it."""
        self.set_execution(replace(execution, revision=execution.revision + 1, modified=self.now))
        self.change_node(execution.node_id).turn += 1

    def release(self, execution: ExecutionRecord) -> None:
        """Record the end of an execution, and take it off its node and its partition."""
        self.set_execution(execution)
        if self._is_current(execution):
            self._set_live(execution.job_id, execution.index, None)
        node = self.change_node(execution.node_id)
        node.live.pop(execution.id, None)
        node.backlog -= {execution.id}
        node.turn += 1
        self.free(node.id)

    def change_node(self, node_id: NodeId) -> NodeEntry:
        """A node that may be changed in this batch. Raises KeyError."""
        if node_id not in self._own_nodes:
            node = self.overlay.nodes.get(node_id) or self.cluster.nodes[node_id]
            self.overlay.write(self.overlay.nodes, node_id, node.copy())
            self._own_nodes.add(node_id)
        return self.overlay.nodes[node_id]

    def add_node(self, node: NodeEntry) -> None:
        """Add a node that was not known."""
        self.overlay.write(self.overlay.nodes, node.id, node)
        self._own_nodes.add(node.id)
        self.set_node_record(node.record)

    def set_node_record(self, record: NodeRecord) -> None:
        """Replace the durable part of a node."""
        self.change_node(record.id).record = record
        self.overlay.write(self.overlay.node_records, record.id, record)

    def delete_node(self, node_id: NodeId) -> None:
        """Forget a node that holds nothing any more."""
        self.overlay.write(self.overlay.deleted, node_id, None)

    def ripen(self, job_id: JobId, index: int) -> None:
        """End a partition's backoff, if it is over."""
        if self.row(job_id, index).retry_due <= self.now:
            ripe = self.overlay.ripe.get(job_id)
            if ripe is None:
                ripe = {}
                self.overlay.write(self.overlay.ripe, job_id, ripe)
            self.overlay.write(ripe, index, None)

    def note_run(self, job_id: JobId, seconds: float) -> None:
        """Take a run time into the job's average."""
        mean = self.mean_run(job_id)
        seconds = max(seconds, 1e-4)
        self.overlay.write(self.overlay.means, job_id, seconds if not mean else mean + MEAN_WEIGHT * (seconds - mean))

    def note_passed_over(self, job_id: JobId, since: Timestamp) -> None:
        """Remember since when a job finds no room."""
        if self.passed_over(job_id) != since:
            self.overlay.write(self.overlay.passed_over, job_id, since)

    def keep_tail(self, tail: TailRecord) -> None:
        """Keep the last piece of a log with this commit."""
        self.overlay.tails.append(tail)

    def ignore_report(self) -> None:
        """Count a report that made no sense."""
        self.overlay.ignored += 1

    def remind(self, deadline: Deadline) -> None:
        """Look at something later."""
        self.overlay.deadlines.append(deadline)

    def tell(
        self,
        job_id: JobId,
        topic: str,
        message: str,
        details: dict[str, str] | None = None,
        execution: ExecutionRecord | None = None,
    ) -> None:
        """Add a line of history, of the execution if there is one, else of the job."""
        seq = self.overlay.seqs.get(job_id) or self.entry(job_id).next_seq
        self.overlay.write(self.overlay.seqs, job_id, seq + 1)
        self.overlay.happenings.append(
            Happening(
                job_id=job_id,
                seq=seq,
                job_version=execution.job_version if execution else self.job(job_id).job.version,
                level=Level.EXECUTION if execution else Level.JOB,
                execution_id=execution.id if execution else ExecutionId(""),
                index=execution.index if execution else -1,
                topic=topic,
                message=message,
                time=self.now,
                details=details or {},
            )
        )

    # The end of the batch

    def changes(self) -> Changes:
        """What has to be durable before `put`."""
        return self.overlay.changes()

    def put(self) -> Put:
        """Make it all visible. Nothing may be read or written through the draft afterwards."""
        return put(self.cluster, self.overlay)

    def _set_live(self, job_id: JobId, index: int, execution: ExecutionId | None) -> None:
        live = self.overlay.live.get(job_id)
        if live is None:
            live = {}
            self.overlay.write(self.overlay.live, job_id, live)
        self.overlay.write(live, index, execution)

    def _is_current(self, execution: ExecutionRecord) -> bool:
        return self.job(execution.job_id).job.version == execution.job_version
