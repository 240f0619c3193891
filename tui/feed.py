"""Follows one job: a snapshot, then deltas; reconnects by itself. Never a gap, never a change told twice.

Knows nothing of any terminal. The cursor moves only after a frame was applied, so a broken connection goes on where it
stopped; when the server no longer knows the cursor (410), or the job got a new version, a new snapshot replaces everything.
"""

import array
import asyncio
import random
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec

from orchestrator.client import ClientError, OrchestratorClient, UnreachableError
from orchestrator.client_stream import watch
from orchestrator.contract.ids import JobId, NodeId
from orchestrator.contract.job import JobStateType
from orchestrator.contract.partitions import NO_NODE, Frame, Grid, PartitionState

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 10.0
"""Seconds between attempts to reconnect: doubled each time, times 0.5..1."""
GONE = 410
PASSING = (429, 500, 502, 503, 504)
"""Statuses of an orchestrator that is starting, busy or behind a proxy: tried again."""


class JobView:
    """Where every partition of a job stands, as flat arrays. One object for the life of a feed; changed in place."""

    def __init__(self) -> None:
        self.job_id = ""
        self.version = 0
        self.count = 0
        self.states = bytearray()
        """One `PartitionState` byte a partition, +128 while stopping."""
        self.attempts = bytearray()
        self.nodes: array.array[int] = array.array("H")
        """Index into `node_ids`; 65535 = none."""
        self.node_ids: list[str] = []
        self.summary: dict[str, int] = {}
        self.job_state = ""
        self.job_message = ""
        self.cursor = ""

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self.job_state in {state.value for state in JobStateType if state.is_terminal}

    def number(self, *states: PartitionState) -> int:
        """How many partitions are in any of these states; stopping ones are in none."""
        return sum(self.summary.get(state.name.capitalize(), 0) for state in states)

    def node_of(self, index: int) -> str:
        """The node of a partition, or an empty text."""
        node = self.nodes[index]
        return self.node_ids[node] if node != NO_NODE and node < len(self.node_ids) else ""

    def load(self, grid: Grid) -> None:
        """Replace everything by a snapshot."""
        self.job_id = grid.job_id
        self.version = grid.job_version
        self.count = grid.count
        self.states = bytearray(grid.states)
        self.attempts = bytearray(grid.attempts)
        self.nodes = _uint16(grid.nodes)
        self.node_ids = list(grid.node_ids)
        self.summary = dict(grid.summary)
        self.job_state = grid.job_state
        self.job_message = grid.job_message
        self.cursor = grid.cursor

    def apply(self, frame: Frame) -> tuple[int, ...]:
        """Apply a delta; returns the partitions that really changed. Applying one twice changes nothing."""
        self.node_ids.extend(node for node in frame.node_ids if node not in self.node_ids)
        indices = _uint32(frame.indices)
        nodes = _uint16(frame.nodes)
        changed = []
        for at, index in enumerate(indices):
            now = frame.states[at], frame.attempts[at], nodes[at]
            if now != (self.states[index], self.attempts[index], self.nodes[index]):
                self.states[index], self.attempts[index], self.nodes[index] = now
                changed.append(index)
        if frame.summary is not None:
            self.summary = dict(frame.summary)
            self.job_state = frame.job_state
            self.job_message = frame.job_message
        self.cursor = frame.cursor
        return tuple(changed)


class Snapshot(msgspec.Struct, frozen=True):
    """The view was replaced as a whole."""


class Delta(msgspec.Struct, frozen=True):
    """The view changed: these partitions, and perhaps the job's state."""

    indices: tuple[int, ...]


class Offline(msgspec.Struct, frozen=True):
    """The connection broke; the view stands still. It is tried again after `pause` seconds."""

    reason: str
    pause: float


class Online(msgspec.Struct, frozen=True):
    """The connection is back."""


Event = Snapshot | Delta | Offline | Online


async def follow(client: OrchestratorClient, job: str, view: JobView) -> AsyncGenerator[Event, None]:
    """Keep `view` true, and tell of each change, without end; the consumer stops iterating (see `JobView.is_terminal`).

    Raises ClientError when the orchestrator refuses (no such job, not allowed), and UnreachableError when it was not there
    from the start; later it is waited for.
    """
    pause = FIRST_PAUSE
    is_fresh = is_offline = False
    while True:
        reason = ""
        try:
            if not is_fresh:
                view.load(await client.grid(view.job_id or job))
                is_fresh = True
                yield Snapshot()
            async with aclosing(watch(client, view.job_id, view.cursor)) as frames:
                async for frame in frames:
                    if is_offline:
                        yield Online()
                    is_offline, pause = False, FIRST_PAUSE
                    if not _fits(view, frame):
                        is_fresh = False
                        break
                    changed = view.apply(frame)
                    if frame.summary is not None:
                        yield Delta(changed)
                else:
                    reason = "the orchestrator ended the stream"
        except ClientError as error:
            if error.status == GONE:
                is_fresh = False
            elif view.cursor and (isinstance(error, UnreachableError) or error.status in PASSING):
                reason = error.message
            else:
                raise
        wait = pause * random.uniform(0.5, 1)
        if reason:
            is_offline = True
            yield Offline(reason, wait)
        await asyncio.sleep(wait)
        pause = min(2 * pause, LONGEST_PAUSE)


def pack(view: JobView, indices: Sequence[int] | None = None, *, known_nodes: int = 0) -> Grid | Frame:
    """The view as it goes over the wire: whole, or only these partitions as a delta, without the first `known_nodes` names."""
    if indices is None:
        return Grid(
            cursor=view.cursor,
            job_id=JobId(view.job_id),
            job_version=view.version,
            count=view.count,
            states=bytes(view.states),
            attempts=bytes(view.attempts),
            nodes=_little_endian(view.nodes[:]).tobytes(),
            node_ids=tuple(NodeId(node) for node in view.node_ids),
            summary=view.summary,
            job_state=view.job_state,
            job_message=view.job_message,
        )
    return Frame(
        cursor=view.cursor,
        indices=_little_endian(array.array("I", indices)).tobytes(),
        states=bytes(view.states[index] for index in indices),
        attempts=bytes(view.attempts[index] for index in indices),
        nodes=_little_endian(array.array("H", (view.nodes[index] for index in indices))).tobytes(),
        node_ids=tuple(NodeId(node) for node in view.node_ids[known_nodes:]),
        summary=view.summary,
        job_state=view.job_state,
        job_message=view.job_message,
        job_version=view.version,
    )


def _fits(view: JobView, frame: Frame) -> bool:
    """Whether a frame can be applied: a new version of the job may have another number of partitions."""
    if frame.summary is None:
        return True
    highest = max(_uint32(frame.indices), default=-1)
    return frame.job_version in (0, view.version) and highest < view.count


def _uint16(packed: bytes) -> "array.array[int]":
    return _little_endian(array.array("H", packed))


def _uint32(packed: bytes) -> "array.array[int]":
    return _little_endian(array.array("I", packed))


def _little_endian(numbers: "array.array[int]") -> "array.array[int]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
