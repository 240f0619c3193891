"""What is unsettled, in memory: jobs with flat arrays of their partitions, executions that have not ended, nodes.

Only `Draft.put` changes it, after a commit. A settled job may be here too, loaded because somebody asked for it.
"""

import enum
import itertools
from array import array
from collections.abc import Iterable, Iterator

import msgspec

from orchestrator.contract.decode import resources
from orchestrator.contract.execution import DesiredState
from orchestrator.contract.ids import ExecutionId, JobId, NodeId, Timestamp
from orchestrator.contract.job import PINNED, Job
from orchestrator.contract.node import Connection, Membership, NodeInfo, Resources
from orchestrator.contract.partitions import NO_NODE, SETTLED, STOPPING, PartitionState
from orchestrator.contract.selection import parse_ranges
from orchestrator.core.deadlines import Deadlines
from orchestrator.core.model import NEVER, ExecutionRecord, JobRecord, NodeRecord, Override, PartitionRecord

ACTIVE = (PartitionState.ASSIGNED, PartitionState.RUNNING, PartitionState.PUBLISHING)
HUNGRY = (PartitionState.WAITING, PartitionState.RETRYING)


class NoRoom(enum.StrEnum):
    """Why a node does not take a partition."""

    DISCONNECTED = "disconnected"
    NOT_APPROVED = "not approved"
    ENGINE = "engine"
    INPUT = "input"
    PUBLISHER = "publisher"
    CONSTRAINT = "constraint"
    TOO_LARGE = "too large"
    """Needs more than the node has when idle."""
    BUSY = "busy"
    """Would fit, but not beside what is there now."""
    DRAINING = "draining"
    RESERVED = "reserved"
    """Kept free for a job that was passed over for long."""


class Refusal(msgspec.Struct, frozen=True):
    """Why one node does not take a partition, in words."""

    why: NoRoom
    text: str

    @property
    def is_lasting(self) -> bool:
        """Whether the node could not take it even when connected and idle."""
        return self.why in (NoRoom.ENGINE, NoRoom.INPUT, NoRoom.PUBLISHER, NoRoom.CONSTRAINT, NoRoom.TOO_LARGE)


MOST = 65_535
"""Attempts and losses are kept in 16 bits."""


class JobEntry:
    """The current version of a job: its record and one slot an array for each of its partitions."""

    def __init__(self, record: JobRecord, next_seq: int = 1) -> None:
        count = record.width
        self.record = record
        self.next_seq = next_seq
        self.need = need_of(record.job, None)
        self.states = bytearray([record.untouched]) * count
        self.has_record = bytearray(count)
        """1 for partitions with a record in the store; the others all stand where `record.untouched` says."""
        self.attempts = array("H", bytes(2 * count))
        self.unbegun: dict[int, int] = {}
        """Executions that ended before they began, of partitions that had any."""
        self.billed = bytearray(count)
        self.lost = array("H", bytes(2 * count))
        self.nodes = array("H", [NO_NODE]) * count
        self.node_ids: list[NodeId] = []
        self.counts = [0] * len(PartitionState)
        self.counts[record.untouched] = count
        self.live: dict[int, ExecutionId] = {}
        """Executions of this version that have not ended, by partition."""
        self.due: dict[int, Timestamp] = {}
        """Partitions that may not be placed before a time."""
        self.overrides = overrides_of(record)
        """Partitions that a retry asked something different for."""
        self.ready = bytearray([record.untouched in HUNGRY]) * count
        """1 for partitions that may be placed now: they wait, not for a backoff, and nothing of them runs any more."""
        self.mean_run = 0.0
        """Seconds that an execution ran, on a moving average; 0 = none has ended."""
        self.matches: dict[NodeId, tuple[NodeInfo, Refusal | None]] = {}
        """Why each node cannot take it even when idle, as long as the node's info is this object."""
        self.passed_over: Timestamp = NEVER
        """Since when no room was found for it though a node could take it."""

    @property
    def id(self) -> JobId:
        """The job's id."""
        return self.record.job.id

    @property
    def is_settled(self) -> bool:
        """Whether nothing can happen to it by itself any more."""
        return self.record.job.state.state_type.is_terminal and not self.live

    def take(self, record: JobRecord) -> None:
        """Replace the record, with room for partitions that it has more."""
        known, self.record = self.record, record
        more = record.width - len(self.states)
        if more > 0:
            self.states.extend([record.untouched] * more)
            self.ready.extend([record.untouched in HUNGRY] * more)
            self.has_record.extend(bytes(more))
            self.attempts.extend([0] * more)
            self.billed.extend(bytes(more))
            self.lost.extend([0] * more)
            self.nodes.extend([NO_NODE] * more)
            self.counts[record.untouched] += more
        if record.overrides != known.overrides:
            self.overrides = overrides_of(record)

    def attempts_and_retries(self) -> tuple[int, int]:
        """Executions, and those beyond the first of each partition that began; its last one counts when it is placed."""
        attempts = sum(self.attempts)
        beyond = attempts - (len(self.attempts) - self.attempts.count(0))
        return attempts, beyond - sum(min(number, self.attempts[index] - 1) for index, number in self.unbegun.items())

    @property
    def untouched_count(self) -> int:
        """Number of partitions without a record."""
        return len(self.has_record) - self.has_record.count(1)

    def put(self, row: PartitionRecord) -> None:
        """Replace a partition."""
        index, node = row.index, row.last_node
        if self.states[index] != row.state:
            self.counts[self.states[index]] -= 1
            self.counts[row.state] += 1
            self.states[index] = row.state
        self.has_record[index] = 1
        self.attempts[index] = min(row.attempts, MOST)
        if row.unbegun:
            self.unbegun[index] = row.unbegun
        self.billed[index] = min(row.billed, 255)
        self.lost[index] = min(row.lost, MOST)
        if row.retry_due:
            self.due[index] = row.retry_due
        else:
            self.due.pop(index, None)
        if node:
            self.nodes[index] = self._node_index(node)
        self.refresh(index)

    def refresh(self, index: int) -> None:
        """Say again whether a partition may be placed, after its state, its backoff or its execution changed."""
        self.ready[index] = self.states[index] in HUNGRY and index not in self.due and index not in self.live

    def ripen(self, index: int) -> None:
        """End a partition's backoff."""
        self.due.pop(index, None)
        self.refresh(index)

    def put_untouched(self, state: PartitionState) -> None:
        """Move all partitions without a record to where `state` says."""
        untouched = [index for index, known in enumerate(self.has_record) if not known]
        for index in untouched:
            self.counts[self.states[index]] -= 1
            self.states[index] = state
            self.ready[index] = state in HUNGRY and index not in self.live
        self.counts[state] += len(untouched)

    def row(self, index: int) -> PartitionRecord:
        """A partition as a record, without its accepted execution: that is only in the store."""
        node = self.nodes[index]
        return PartitionRecord(
            job_id=self.record.job.id,
            job_version=self.record.job.version,
            index=index,
            state=PartitionState(self.states[index]),
            attempts=self.attempts[index],
            unbegun=self.unbegun.get(index, 0),
            billed=self.billed[index],
            lost=self.lost[index],
            retry_due=self.due.get(index, NEVER),
            last_node=self.node_ids[node] if node != NO_NODE else NodeId(""),
        )

    def waiting(self, start: int = 0) -> Iterator[int]:
        """Indices of partitions that may be placed now, ascending from `start`."""
        index = self.ready.find(1, start)
        while index >= 0:
            yield index
            index = self.ready.find(1, index + 1)

    def packed_states(self, stopping: Iterable[int]) -> bytes:
        """One byte a partition, with the bit of those that are `stopping`."""
        packed = bytearray(self.states)
        for index in stopping:
            packed[index] |= STOPPING
        return bytes(packed)

    def _node_index(self, node: NodeId) -> int:
        if self.node_ids and self.node_ids[-1] == node:
            return len(self.node_ids) - 1
        try:
            return self.node_ids.index(node)
        except ValueError:
            self.node_ids.append(node)
            return len(self.node_ids) - 1


def overrides_of(record: JobRecord) -> dict[int, Override]:
    """What is overridden, by partition."""
    found: dict[int, Override] = {}
    for overridden in record.overrides:
        for index in itertools.chain.from_iterable(parse_ranges(overridden.partitions)):
            if overridden.override is None:
                found.pop(index, None)
            else:
                found[index] = overridden.override
    return found


def need_of(job: Job, override: Override | None) -> Resources:
    """What an execution of a job needs."""
    said = job.task.resources
    if override is None or override.resources is None:
        return resources(said)
    return resources(said.changed_by(override.resources))


class NodeEntry(msgspec.Struct, kw_only=True):
    """A node with what is only kept in memory: its lease, and what its last sync said."""

    record: NodeRecord
    lease_until: Timestamp = NEVER
    seq: int = 0
    """Of the last sync observed in this session."""
    former: tuple[str, ...] = ()
    """The last sessions before this one, since this process began: none of them comes back, however late its words arrive."""
    live: dict[ExecutionId, Resources] = {}
    """Executions here that have not ended as far as we know, with their needs."""
    named: frozenset[ExecutionId] = frozenset()
    """Executions that its last sync named."""
    used: Resources = Resources()
    """Needs of all that its last sync named as started and neither publishing nor ended, whatever we think of them."""
    backlog: frozenset[ExecutionId] = frozenset()
    """Assigned beyond its room, or said by the node to wait."""
    backlog_due: Timestamp = NEVER
    """When its backlog is looked at next."""
    silent_stops: dict[ExecutionId, int] = {}
    """Executions that should stop and that the node does not name, with the first sync of this session that did not."""
    reserved_for: JobId = JobId("")
    """A job that was passed over for long: nobody else is placed here until it was."""
    ended: bytes = b""
    """What came of the last executions here, a partition state each, the newest last; since this process began."""
    turn: int = 0
    """One more with every change of what should run here: a held answer goes out when it changes."""

    @property
    def id(self) -> NodeId:
        """The node's name."""
        return self.record.id

    @property
    def is_usable(self) -> bool:
        """Whether work may be placed here."""
        record = self.record
        return record.connection is Connection.CONNECTED and record.membership is Membership.APPROVED

    @property
    def capacity(self) -> Resources:
        """Everything it offers."""
        return self.record.info.compute_node_info.max_capacity

    def free(self) -> Resources:
        """What is left: capacity, minus what runs by its own word, minus what was assigned into room and not named yet."""
        left = self.capacity.minus(self.used)
        for execution, need in self.live.items():
            if execution not in self.named and execution not in self.backlog:
                left = left.minus(need)
        return left

    def copy(self) -> "NodeEntry":
        """A copy that can be changed without changing this."""
        return msgspec.structs.replace(self, live=dict(self.live), silent_stops=dict(self.silent_stops))


class Cluster:
    """All that is unsettled. `check` states what always holds."""

    def __init__(
        self, cluster_id: str, orchestrator_id: NodeId, *, lease: float, fence: float, approves_by_hand: bool = False
    ) -> None:
        self.id = cluster_id
        self.orchestrator_id = orchestrator_id
        self.lease = lease
        """Seconds that a node's word counts."""
        self.fence = fence
        """Seconds that a node works on without hearing anything."""
        self.approves_by_hand = approves_by_hand
        """Whether a new node waits for somebody to approve it."""
        self.jobs: dict[JobId, JobEntry] = {}
        self.executions: dict[ExecutionId, ExecutionRecord] = {}
        """Those that have not ended, of all versions."""
        self.nodes: dict[NodeId, NodeEntry] = {}
        self.names: dict[tuple[str, str], JobId] = {}
        """(namespace, name) of the jobs here."""
        self.hungry: set[JobId] = set()
        """Jobs with a partition that waits, backoffs included."""
        self.following: set[JobId] = set()
        """Jobs that have not ended and have a partition for each matching node."""
        self.deadlines = Deadlines()
        self.ignored_reports = 0
        """Reports that made no sense: of unknown or foreign executions, or going back."""

    def add_job(self, entry: JobEntry) -> None:
        """Take in a job."""
        job = entry.record.job
        self.jobs[job.id] = entry
        self.names[job.namespace, job.name] = job.id
        if not job.state.state_type.is_terminal:
            self.note_waiting(entry)

    def drop_job(self, job_id: JobId) -> None:
        """Forget a settled job; the store has it."""
        job = self.jobs.pop(job_id).record.job
        del self.names[job.namespace, job.name]
        self.hungry.discard(job_id)
        self.following.discard(job_id)

    def note_waiting(self, entry: JobEntry) -> None:
        """Keep the indices of jobs right after `entry` changed."""
        job = entry.record.job
        if job.type in PINNED and not job.state.state_type.is_terminal:
            self.following.add(entry.id)
        else:
            self.following.discard(entry.id)
        waits = any(entry.counts[state] for state in HUNGRY)
        if waits and not entry.record.job.state.state_type.is_terminal:
            self.hungry.add(entry.id)
        else:
            self.hungry.discard(entry.id)

    def stopping(self, entry: JobEntry) -> list[int]:
        """Partitions of a job whose execution should stop and has not been seen to end."""
        return [
            index
            for index, execution in entry.live.items()
            if self.executions[execution].desired is DesiredState.STOPPED
        ]

    def check(self) -> None:
        """Assert what always holds: counts, indices and cross references."""
        for entry in self.jobs.values():
            job = entry.record.job
            assert len(entry.states) == entry.record.width
            assert entry.counts == [entry.states.count(state) for state in PartitionState], "counts are not a recount"
            for index, execution in entry.live.items():
                record = self.executions[execution]
                assert (record.job_id, record.job_version, record.index) == (job.id, job.version, index)
                assert entry.states[index] != PartitionState.COMPLETED or record.desired is DesiredState.STOPPED
            active = {index for index, state in enumerate(entry.states) if state in ACTIVE}
            assert active <= entry.live.keys(), "a partition is active without an execution"
            if job.state.state_type.is_terminal:
                assert not active, "a job has ended while a partition is active"
                assert entry.id not in self.hungry
            else:
                unsettled = entry.record.width - sum(entry.counts[state] for state in SETTLED)
                assert unsettled or not entry.record.width, "every partition is settled, yet the job has not ended"
                assert (entry.id in self.hungry) == any(entry.counts[state] for state in HUNGRY)
            waiting = [
                i for i, s in enumerate(entry.states) if s in HUNGRY and i not in entry.due and i not in entry.live
            ]
            assert list(entry.waiting()) == waiting, "what may be placed is not a recount"
        for held in self.executions.values():
            assert not held.state.is_terminal
            assert held.id in self.nodes[held.node_id].live
        for node in self.nodes.values():
            assert all(self.executions[execution].node_id == node.id for execution in node.live)
            if node.record.connection is not Connection.CONNECTED:
                wanted = [e for e in node.live if self.executions[e].desired is not DesiredState.STOPPED]
                assert not wanted, "a lost node holds executions that should run"
