"""What a batch has changed so far, record by record, with a log that can undo it."""

from typing import Any, NamedTuple

from orchestrator.contract.ids import ExecutionId, JobId, NodeId, Timestamp
from orchestrator.contract.partitions import PartitionState
from orchestrator.core.cluster import JobEntry, NodeEntry
from orchestrator.core.deadlines import Deadline
from orchestrator.core.model import (
    Changes,
    ExecutionRecord,
    Happening,
    JobRecord,
    NodeRecord,
    PartitionRecord,
    TailRecord,
)

MISSING: Any = object()


class Mark(NamedTuple):
    """How far the changes had come."""

    log: int
    happenings: int
    tails: int
    deadlines: int


class Overlay:
    """Changed records by their keys. Mappings are changed through `write` and `drop`, so that `rollback` can undo it."""

    def __init__(self) -> None:
        self.entries: dict[JobId, JobEntry] = {}
        """Arrays of versions that began in this batch."""
        self.jobs: dict[JobId, JobRecord] = {}
        self.old_jobs: dict[tuple[JobId, int], JobRecord] = {}
        """Versions that ended because a newer one began."""
        self.names: dict[tuple[str, str], JobId] = {}
        self.rows: dict[JobId, dict[int, PartitionRecord]] = {}
        self.old_rows: dict[tuple[JobId, int], list[PartitionRecord]] = {}
        self.counts: dict[JobId, tuple[int, ...]] = {}
        self.seqs: dict[JobId, int] = {}
        self.live: dict[JobId, dict[int, ExecutionId | None]] = {}
        self.untouched: dict[JobId, PartitionState] = {}
        self.wider: dict[JobId, None] = {}
        """Jobs that have more partitions than before."""
        self.ripe: dict[JobId, dict[int, None]] = {}
        """Partitions whose backoff is over."""
        self.means: dict[JobId, float] = {}
        self.passed_over: dict[JobId, Timestamp] = {}
        self.executions: dict[ExecutionId, ExecutionRecord] = {}
        self.nodes: dict[NodeId, NodeEntry] = {}
        self.node_records: dict[NodeId, NodeRecord] = {}
        self.failed_on: dict[NodeId, None] = {}
        """Nodes whose failures have to be stored: nothing else of them is different."""
        self.deleted: dict[NodeId, None] = {}
        self.happenings: list[Happening] = []
        self.tails: list[TailRecord] = []
        self.deadlines: list[Deadline] = []
        self.ignored = 0
        self._log: list[tuple[dict[Any, Any], Any, Any]] = []

    def write(self, mapping: dict[Any, Any], key: Any, value: Any) -> None:
        """Set `mapping[key]`."""
        self._log.append((mapping, key, mapping.get(key, MISSING)))
        mapping[key] = value

    def drop(self, mapping: dict[Any, Any], key: Any) -> None:
        """Remove `mapping[key]`."""
        self._log.append((mapping, key, mapping.pop(key)))

    def mark(self) -> Mark:
        """Where the changes stand."""
        return Mark(len(self._log), len(self.happenings), len(self.tails), len(self.deadlines))

    def rollback(self, mark: Mark) -> None:
        """Undo everything since `mark`."""
        while len(self._log) > mark.log:
            mapping, key, old = self._log.pop()
            if old is MISSING:
                mapping.pop(key, None)
            else:
                mapping[key] = old
        del self.happenings[mark.happenings :]
        del self.tails[mark.tails :]
        del self.deadlines[mark.deadlines :]

    def changes(self) -> Changes:
        """All records that have to be stored."""
        return Changes(
            jobs=[*self.old_jobs.values(), *self.jobs.values()],
            partitions=[
                *(row for rows in self.old_rows.values() for row in rows),
                *(row for rows in self.rows.values() for row in rows.values()),
            ],
            executions=list(self.executions.values()),
            happenings=self.happenings,
            nodes=[
                self.nodes[node_id].record
                for node_id in self.node_records | self.failed_on
                if node_id not in self.deleted
            ],
            deleted_nodes=list(self.deleted),
            tails=self.tails,
        )
