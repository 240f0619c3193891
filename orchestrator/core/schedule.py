"""Whose turn it is: one pass over the nodes that have room, next job by priority, then by fewest active partitions.

A pass costs in proportion to what it places, plus the jobs that wait and the nodes that have room. It places into room
first; where a node is full, short work may be assigned beyond its room (its backlog), so that it never idles for a message.
"""

import heapq
from collections.abc import Iterator

from msgspec.structs import replace

from orchestrator.contract.history import Topic
from orchestrator.contract.ids import ExecutionId, JobId, NodeId, after
from orchestrator.contract.job import JobStateType
from orchestrator.contract.node import Resources
from orchestrator.contract.partitions import PartitionState
from orchestrator.contract.selectors import constraint_matches, is_preference
from orchestrator.core.cluster import HUNGRY, JobEntry, NodeEntry, need_of, overrides_of
from orchestrator.core.deadlines import Deadline, Kind
from orchestrator.core.draft import Draft
from orchestrator.core.model import NEVER, ExecutionRecord, Override, PartitionRecord
from orchestrator.core.placement import load, mismatch, refusal, slots
from orchestrator.core.queueing import judge_queue

MOST_PLACED = 1000
"""Placements of one pass; what is left is for the next batch, so that none takes long."""
BACKLOG_SECONDS = 0.2
"""How much work a node may hold beyond its room."""
MOST_BACKLOG = 256
"""Executions that a node may hold beyond its room."""
PATIENCE = 60.0
"""Seconds after which a job that is passed over reserves the next node that it fits."""


class Room:
    """What is left on one node during a pass."""

    def __init__(self, node: NodeEntry) -> None:
        self.node = node
        self.free = node.free()
        self.backlog = len(node.backlog)


class Turn:
    """A waiting job during a pass: its next partitions, and the nodes that may take them, best first."""

    def __init__(self, draft: Draft, entry: JobEntry, rooms: dict[NodeId, Room]) -> None:
        self.draft = draft
        self.entry = entry
        self.rooms = rooms
        self.placed = 0
        record = draft.job(entry.id)
        self.overrides = entry.overrides if record.overrides == entry.record.overrides else overrides_of(record)
        rows = placeable(draft, entry.id)
        is_odd = self.overrides.__contains__
        self.partitions: Iterator[PartitionRecord] = iter(())
        self.odd: Iterator[PartitionRecord] = iter(())
        if record.targets:
            self.odd = rows
        elif self.overrides:
            self.odd = (draft.row(entry.id, index) for index in self.overrides if may_begin(draft, entry.id, index))
            self.partitions = (row for row in rows if not is_odd(row.index))
        else:
            self.partitions = rows
        self.without_room: set[tuple[Override | None, NodeId | None]] = set()
        """Kinds of odd partitions that found no room in this pass."""
        self.kinds = len(record.targets) or len(set(self.overrides.values()))
        self.mean_run = draft.mean_run(entry.id)
        self.wishes = [c for c in draft.job(entry.id).job.constraints if is_preference(c)]
        self._heap: list[tuple[tuple[int, int, float], NodeId]] | None = None

    @property
    def heap(self) -> list[tuple[tuple[int, int, float], NodeId]]:
        """Nodes with room, best first; made when the job's turn comes."""
        if self._heap is None:
            self._heap = [(rank, node_id) for node_id, room in self.rooms.items() if (rank := self.rank(room))]
            heapq.heapify(self._heap)
        return self._heap

    def rank(self, room: Room) -> tuple[int, int, float] | None:
        """How good a node is for the job now, the smallest first; None = it has neither room nor backlog."""
        why = refusal(self.entry, room.node, room.free)
        wished = -sum(constraint_matches(wish, room.node.record.info.labels) for wish in self.wishes)
        capacity = room.node.capacity
        if why is None:
            return 0, wished, load(capacity, room.free)
        node = room.node
        if node.reserved_for or node.record.draining or not node.is_usable or mismatch(self.entry, node):
            return None
        limit = self.backlog_limit(room)
        return (1, wished, room.backlog / limit) if room.backlog < limit else None

    def backlog_limit(self, room: Room) -> int:
        """How many executions may wait on the node: enough for the time of a message, none for long tasks."""
        if not self.mean_run:
            return 0
        width = slots(room.node.capacity, self.entry.need)
        return min(MOST_BACKLOG, int(width * BACKLOG_SECONDS / self.mean_run))

    def choose(self, avoided: NodeId) -> Room | None:
        """The best node, another one than `avoided` if any other has room; None = there is no room."""
        best = self.pop()
        if best is None:
            return None
        if best[1] == avoided:
            second = self.pop()
            if second is not None:
                heapq.heappush(self.heap, second if second[0][0] else best)
                best = best if second[0][0] else second
        return self.rooms[best[1]]

    def find(self, need: Resources, override: Override | None, target: NodeId | None, avoided: NodeId) -> Room | None:
        """The emptiest node with room for a partition that is not like the job's others: with its own need, its own node."""
        never = override.avoid if override else ()
        rooms = [
            room
            for node_id, room in self.rooms.items()
            if target in (None, node_id)
            and node_id not in never
            and not refusal(self.entry, room.node, room.free, need)
        ]
        return min(
            rooms,
            key=lambda room: (room.node.id == avoided, load(room.node.capacity, room.free), room.node.id),
            default=None,
        )

    def pop(self) -> tuple[tuple[int, int, float], NodeId] | None:
        """Take the best node off the heap; ranks that went stale are mended on the way."""
        while self.heap:
            rank, node_id = heapq.heappop(self.heap)
            now = self.rank(self.rooms[node_id])
            if now is None:
                continue
            if now > rank:
                heapq.heappush(self.heap, (now, node_id))
                continue
            return now, node_id
        return None

    def put_back(self, room: Room) -> None:
        """Offer a node again after something was placed on it."""
        rank = self.rank(room)
        if rank is not None:
            heapq.heappush(self.heap, (rank, room.node.id))


def schedule(draft: Draft) -> None:
    """Place what waits into what room there is.

    A job that nothing happened to since it found no room looks at nodes only that may have room now.
    """
    if not (draft.touched or draft.freed or draft.has_node_changes or draft.is_continuation):
        return
    job_ids = [job_id for job_id in draft.job_ids() if may_be_placed(draft, job_id)]
    if not job_ids:
        return
    rooms = {node.id: Room(node) for node in draft.nodes() if node.is_usable}
    reserve(draft, job_ids, rooms)
    freed = {node_id: room for node_id, room in rooms.items() if node_id in draft.freed}
    waiting = [
        Turn(draft, draft.entry(job_id), rooms if job_id in draft.touched or draft.is_continuation else freed)
        for job_id in job_ids
    ]
    queue = [(*order(draft, turn.entry.id), number) for number, turn in enumerate(waiting)]
    heapq.heapify(queue)
    placed = 0
    while queue and placed < MOST_PLACED:
        *_, number = heapq.heappop(queue)
        turn = waiting[number]
        if place_next(draft, turn):
            placed += 1
            heapq.heappush(queue, (*order(draft, turn.entry.id), number))
    if queue:
        draft.is_unfinished = True
    left = {number for *_, number in queue}
    for number, turn in enumerate(waiting):
        if number not in left or turn.placed:
            conclude(draft, turn)


def may_be_placed(draft: Draft, job_id: JobId) -> bool:
    """Whether a job has anything to place."""
    record = draft.job(job_id)
    return not record.is_suspended and not record.job.state.state_type.is_terminal and draft.waits(job_id)


def placeable(draft: Draft, job_id: JobId) -> Iterator[PartitionRecord]:
    """Partitions that may be placed now: those this batch made wait first, then the others, ascending."""
    over = draft.overlay
    left = {index for index, execution in over.live.get(job_id, {}).items() if not execution}
    changed = left | over.rows.get(job_id, {}).keys() | over.ripe.get(job_id, {}).keys()
    for index in sorted(changed):
        if may_begin(draft, job_id, index):
            yield draft.row(job_id, index)
    if job_id in over.untouched:
        return  # where the others stand is only in the arrays after `put`: they are for the next batch
    entry = draft.entry(job_id)
    for index in entry.waiting():
        if index not in changed and not draft.live(job_id, index):
            yield entry.row(index)


def may_begin(draft: Draft, job_id: JobId, index: int) -> bool:
    """Whether one partition may be placed now."""
    row = draft.row(job_id, index)
    return row.state in HUNGRY and row.retry_due <= draft.now and not draft.live(job_id, index)


def order(draft: Draft, job_id: JobId) -> tuple[int, int, int, JobId]:
    """Whose turn comes first: the smallest."""
    job = draft.job(job_id).job
    return -job.priority, draft.active(job.id), job.create_time, job.id


def place_next(draft: Draft, turn: Turn) -> bool:
    """Place the job's next partition; False = it has none, or there is no room."""
    return place_odd(draft, turn) or place_plain(draft, turn)


def place_odd(draft: Draft, turn: Turn) -> bool:
    """Place the next partition that is not like the others; of each kind only the first that finds no room is tried."""
    record = draft.job(turn.entry.id)
    for row in turn.odd:
        override = turn.overrides.get(row.index)
        target = record.targets[row.index] if record.targets else None
        if (override, target) in turn.without_room:
            if len(turn.without_room) >= turn.kinds:
                return False
            continue
        need = need_of(record.job, override) if override else turn.entry.need
        room = turn.find(need, override, target, avoided_by(row))
        if room is not None:
            assign(draft, turn, row, room, override, need)
            turn.put_back(room)
            return True
        turn.without_room.add((override, target))
    return False


def place_plain(draft: Draft, turn: Turn) -> bool:
    """Place the next partition that is like the others: what does not fit now fits none of them."""
    if not turn.heap:
        return False
    row = next(turn.partitions, None)
    room = turn.choose(avoided_by(row)) if row is not None else None
    if row is None or room is None:
        return False
    assign(draft, turn, row, room, None, turn.entry.need)
    turn.put_back(room)
    return True


def avoided_by(row: PartitionRecord) -> NodeId:
    """The node that a partition should not be tried on again if another one has room."""
    return row.last_node if row.state is PartitionState.RETRYING else NodeId("")


def assign(
    draft: Draft, turn: Turn, row: PartitionRecord, room: Room, override: Override | None, need: Resources
) -> None:
    """Give a partition its next execution on a node."""
    is_backlog = not room.free.holds(need)
    if is_backlog:
        room.backlog += 1
    else:
        room.free = room.free.minus(need)
    node = room.node
    job = draft.job(row.job_id).job
    execution = ExecutionRecord(
        id=ExecutionId(f"e-{draft.new_id()}"),
        job_id=row.job_id,
        job_version=row.job_version,
        namespace=job.namespace,
        index=row.index,
        attempt=row.attempts + 1,
        node_id=node.id,
        evaluation_id=draft.touch(row.job_id),
        override=override,
        session=node.record.session,
        created=draft.now,
        modified=draft.now,
    )
    draft.set_row(
        replace(row, state=PartitionState.ASSIGNED, attempts=execution.attempt, retry_due=NEVER, last_node=node.id)
    )
    draft.assign(execution, need, is_backlog=is_backlog)
    if not turn.placed and job.state.state_type is not JobStateType.RUNNING:
        draft.tell(job.id, Topic.STATE_UPDATE, "Running", {"NewState": "Running"})
        draft.set_job(replace(draft.job(job.id), was_placed=True, queued_since=NEVER, hopeless_since=NEVER))
        draft.turn_job(job.id, JobStateType.RUNNING)
    turn.placed += 1
    details = {"NodeID": str(node.id)}
    draft.tell(job.id, Topic.SCHEDULING, f"Requested execution on {node.id}", details, execution)


def conclude(draft: Draft, turn: Turn) -> None:
    """After a pass: note who was passed over, who reserved a node and got it, who is Queued now."""
    job_id = turn.entry.id
    if turn.placed:
        draft.note_passed_over(job_id, NEVER)
        for node in list(draft.nodes()):
            if node.reserved_for == job_id:
                draft.change_node(node.id).reserved_for = JobId("")
                draft.is_unfinished = True  # what is left of the room is for the others now
        return
    if next(placeable(draft, job_id), None) is None:
        return
    since = draft.passed_over(job_id)
    if since == NEVER:
        draft.note_passed_over(job_id, draft.now)
        draft.remind(Deadline(draft.later(PATIENCE), Kind.ROOM, job_id))
    judge_queue(draft, job_id)


def reserve(draft: Draft, job_ids: list[JobId], rooms: dict[NodeId, Room]) -> None:
    """Keep a node free for each job that was passed over for long and fits one; give up what ended jobs had reserved."""
    holders = {room.node.reserved_for for room in rooms.values()} - {""}
    for room in list(rooms.values()):
        if room.node.reserved_for and room.node.reserved_for not in job_ids:
            change_reservation(draft, rooms, room.node.id, JobId(""))
            draft.free(room.node.id)
    for job_id in sorted(job_ids, key=lambda job_id: order(draft, job_id)):
        since = draft.passed_over(job_id)
        if since == NEVER or job_id in holders or after(since, PATIENCE) > draft.now:
            continue
        entry = draft.entry(job_id)
        fitting = [
            (load(room.node.capacity, room.free), node_id)
            for node_id, room in rooms.items()
            if not room.node.reserved_for and not room.node.record.draining and mismatch(entry, room.node) is None
        ]
        if fitting:
            change_reservation(draft, rooms, min(fitting)[1], job_id)


def change_reservation(draft: Draft, rooms: dict[NodeId, Room], node_id: NodeId, job_id: JobId) -> None:
    """Reserve a node for a job, or for nobody."""
    node = draft.change_node(node_id)
    node.reserved_for = job_id
    rooms[node_id].node = node
