"""Plays a recording: where everything stood at any moment of it."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

from orchestrator.contract.job import Job
from orchestrator.contract.node import NodeState
from orchestrator.contract.partitions import Failures, Frame
from tui.feed import JobView
from tui.recording import Entry

NOTHING = Failures(next_token="", items=())


class Player:
    """Moves along the entries; `view`, `job`, `failures` and `nodes` are as they were at `now` (seconds since 1970)."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.times = [entry.time for entry in entries]
        self.began = next(entry.time for entry in entries if entry.grid is not None)
        self.ended = self.times[-1]
        self.is_playing = True
        self.now = self.began
        self._reset()
        self.seek(self.began)

    def _reset(self) -> None:
        self.view = JobView()
        self.job: Job | None = next((entry.job for entry in self.entries if entry.job is not None), None)
        self.failures = NOTHING
        self.nodes: tuple[NodeState, ...] = ()
        self._next = 0

    def advance(self, seconds: float) -> None:
        """Play on, as far as there is anything."""
        if self.is_playing:
            self.seek(self.now + seconds)
            self.is_playing = self.now < self.ended

    def seek(self, moment: float) -> None:
        """To a moment, forwards or back; beyond either end: to that end."""
        moment = min(max(moment, self.began), self.ended)
        if moment < self.now:
            self._reset()
        self.now = moment
        upto = bisect_right(self.times, moment)
        for entry in self.entries[self._next : upto]:
            self._take(entry)
        self._next = max(self._next, upto)

    def _take(self, entry: Entry) -> None:
        if entry.job is not None:
            self.job = entry.job
        if entry.grid is not None:
            self.view.load(entry.grid)
        if entry.frame is not None and _fits(self.view, entry.frame):
            self.view.apply(entry.frame)
        if entry.failures is not None:
            self.failures = entry.failures
        if entry.nodes is not None:
            self.nodes = entry.nodes

    def step(self, number: int) -> None:
        """To the entry after or before this moment, and stay there."""
        self.is_playing = False
        at = bisect_right(self.times, self.now) - 1
        here = self.times[at]
        while 0 <= at < len(self.times) and (self.times[at] == here or not self._shows(at)):
            at += number
        if 0 <= at < len(self.times):
            self.seek(self.times[at])

    def _shows(self, at: int) -> bool:
        entry = self.entries[at]
        return entry.grid is not None or entry.frame is not None

    def at(self, text: str) -> None:
        """To a time of day, UTC: `12:40`, `12:40:05`. Raises ValueError."""
        try:
            wanted = time.fromisoformat(text.strip().rstrip("Zz"))
        except ValueError as error:
            message = f"at: found {text!r}, allowed: a time of day like 12:40 or 12:40:05"
            raise ValueError(message) from error
        began = datetime.fromtimestamp(self.began, UTC)
        moment = began.replace(hour=wanted.hour, minute=wanted.minute, second=wanted.second, microsecond=0)
        if moment.timestamp() + 60 < self.began:
            moment += timedelta(days=1)
        self.seek(moment.timestamp())


def _fits(view: JobView, frame: Frame) -> bool:
    highest = max(memoryview(frame.indices).cast("I"), default=-1) if frame.indices else -1
    return highest < view.count


def changed(before: JobView, now: JobView) -> list[int]:
    """The partitions that differ between two views of the same size."""
    if before.states == now.states and before.attempts == now.attempts and before.nodes == now.nodes:
        return []
    found = []
    size = 512
    for first in range(0, now.count, size):
        part = slice(first, first + size)
        if (before.states[part], before.attempts[part], before.nodes[part]) != (
            now.states[part],
            now.attempts[part],
            now.nodes[part],
        ):
            found += [
                index
                for index in range(first, min(first + size, now.count))
                if before.states[index] != now.states[index]
                or before.attempts[index] != now.attempts[index]
                or before.nodes[index] != now.nodes[index]
            ]
    return found
