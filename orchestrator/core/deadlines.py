"""When something has to be looked at again although nobody says anything: one heap for the whole cluster.

Entries are hints. Whoever takes one checks the records whether it still means anything, and sets the next; so nothing is
ever removed, and a lease that is renewed a hundred times costs one entry.
"""

import enum
import heapq
from typing import NamedTuple

from orchestrator.contract.ids import Timestamp


class Kind(enum.IntEnum):
    """What may be due."""

    LEASE = 0
    """Of a node: its word counts no longer."""
    BACKOFF = 1
    """Of a partition: it may be placed."""
    JOB = 2
    """A job's queue or total timeout."""
    BACKLOG = 3
    """A node's backlog may be stuck behind long work."""
    ROOM = 4
    """A job was passed over for so long that a node should be kept free for it."""
    DRAIN = 6
    """Of a node that is drained: what still runs is moved."""
    FENCE = 5
    """Of a lost node: by now it has stopped its work itself."""


class Deadline(NamedTuple):
    """Something to look at: of node or job `key`, and partition `place`."""

    due: Timestamp
    kind: Kind
    key: str
    place: int = -1


class Deadlines:
    """A heap of deadlines without duplicates of the same (due, kind, key, place)."""

    def __init__(self) -> None:
        self._heap: list[Deadline] = []
        self._known: set[Deadline] = set()

    def add(self, deadline: Deadline) -> None:
        """Look at it when it is due."""
        if deadline not in self._known:
            self._known.add(deadline)
            heapq.heappush(self._heap, deadline)

    def next(self) -> Timestamp | None:
        """When the first one is due; None = there is none."""
        return self._heap[0].due if self._heap else None

    def take(self, now: Timestamp, most: int) -> list[Deadline]:
        """Remove and return those that are due, at most `most` of them, earliest first."""
        due: list[Deadline] = []
        while self._heap and self._heap[0].due <= now and len(due) < most:
            deadline = heapq.heappop(self._heap)
            self._known.discard(deadline)
            due.append(deadline)
        return due
