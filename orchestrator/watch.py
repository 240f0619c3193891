"""Who waits for what: bells that ring when something changed, and what changed in a job since a commit."""

import asyncio
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Bells:
    """One bell a key. Whoever listens gets an event that is set at every ring; he clears it before he looks."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[asyncio.Event]] = {}

    @contextmanager
    def listen(self, *keys: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever one of `keys` rings, as long as the context lasts."""
        event = asyncio.Event()
        for key in keys:
            self._listeners.setdefault(key, set()).add(event)
        try:
            yield event
        finally:
            for key in keys:
                listeners = self._listeners[key]
                listeners.discard(event)
                if not listeners:
                    del self._listeners[key]

    def ring(self, key: str) -> None:
        """Wake everyone who listens to `key`."""
        for event in self._listeners.get(key, ()):
            event.set()


def job_bell(job_id: str) -> str:
    """The key that rings when anything of a job changed."""
    return f"job {job_id}"


def node_bell(node_id: str) -> str:
    """The key that rings when what should run on a node changed."""
    return f"node {node_id}"


ANY_JOB = "jobs"
"""The key that rings when anything of any job changed."""
ANY_NODE = "nodes"
"""The key that rings when any node changed."""
SPARE = 10_000
"""Indices that a change log keeps beyond twice the number of partitions."""


MOST_LATEST = 20_000
"""Jobs whose last change is remembered."""


class Latest:
    """In which commit each job changed last, of those that changed lately."""

    def __init__(self, floor: int) -> None:
        self._commits: dict[str, int] = {}
        self.floor = floor
        """Every job that changed after this commit is known."""

    def note(self, job_id: str, number: int) -> None:
        """A job changed in commit `number`."""
        self._commits.pop(job_id, None)
        self._commits[job_id] = number
        if len(self._commits) > MOST_LATEST:
            self.floor = max(self.floor, self._commits.pop(next(iter(self._commits))))

    def since(self, number: int) -> list[str] | None:
        """Jobs that changed after commit `number`, the latest first; None = not known any more."""
        if number < self.floor:
            return None
        found: list[str] = []
        for job_id in reversed(self._commits):
            if self._commits[job_id] <= number:
                break
            found.append(job_id)
        return found


class ChangeLog:
    """Which partitions of a job changed in which commit, as far back as it is cheaper than reading all of them again."""

    def __init__(self, count: int, floor: int) -> None:
        self._most = 2 * count + SPARE
        self._held = 0
        self._changes: deque[tuple[int, array[int]]] = deque()
        self.floor = floor
        """The log knows every change after this commit."""
        self.last = floor
        """The commit of the last change."""

    def note(self, number: int, indices: Iterable[int]) -> None:
        """Partitions changed in commit `number`; none = the job itself did."""
        changed = array("I", indices)
        self._changes.append((number, changed))
        self._held += len(changed) + 1
        self.last = number
        while self._held > self._most:
            self.floor, dropped = self._changes.popleft()
            self._held -= len(dropped) + 1

    def since(self, number: int) -> set[int] | None:
        """Partitions that changed after commit `number`; None = not known any more."""
        if number < self.floor:
            return None
        changed: set[int] = set()
        for at, indices in reversed(self._changes):
            if at <= number:
                break
            changed.update(indices)
        return changed
