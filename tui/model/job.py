"""One job as its screens show it: the feed's arrays, the level on screen, lens, filter, marks.

The view of the feed is the truth; this follows it. `reload` after a snapshot, `update` after a delta, `settle` before painting.
"""

import enum
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence

from orchestrator.contract.partitions import NO_NODE, FailureGroup, PartitionState
from orchestrator.contract.selection import Fact, Selection, parse_ranges
from tui.feed import JobView
from tui.model.cells import (
    ATTEMPT_BASE,
    DIGIT,
    DIM,
    DURATION_BASE,
    FAILED,
    KIND_OF,
    LETTER_BASE,
    LETTERS,
    MARK,
    RETRYING,
    STOPPING_KIND,
    badness,
)
from tui.model.levels import Level
from tui.model.scan import Columns, mask_of, scan

UNFINISHED = (
    PartitionState.WAITING,
    PartitionState.RETRYING,
    PartitionState.ASSIGNED,
    PartitionState.RUNNING,
    PartitionState.PUBLISHING,
)


class Lens(enum.Enum):
    """What the colour of a cell says."""

    STATE = "state"
    ATTEMPTS = "attempts"
    NODE = "node"
    DURATION = "duration"
    GROUP = "failure group"


class JobModel:
    """Everything that the grid of one job shows. Never asks anybody: what the feed does not bring is handed in."""

    def __init__(self, view: JobView) -> None:
        self.view = view
        self.lens = Lens.STATE
        self.scale = 1
        self.states = bytearray()
        """State bytes as they are counted in the level; lags behind the view until `update`."""
        self.filter = Selection()
        self.filter_text = ""
        self.mask: bytes | None = None
        """Of the filter; None = no filter."""
        self.mask_is_local = True
        """Whether the mask can be made here; otherwise the server's answer is handed in."""
        self.mask_is_stale = False
        self.marks: set[int] = set()
        self._marked: list[int] = []
        self.groups: Sequence[FailureGroup] = ()
        self.group_of: bytes = b""
        """A byte a partition: 1 + position of its failure group in `groups`, 0 = none."""
        self.seconds: Sequence[float | None] = ()
        """How long the last execution of each partition ran; empty = not known."""
        self.begun: Sequence[float | None] = ()
        self.median = 0.0
        self.level = Level(self.states, view.attempts, 1, self)

    # What comes from the feed

    def reload(self) -> None:
        """The view was replaced as a whole."""
        self.states = bytearray(self.view.states)
        if len(self.group_of) != self.view.count:
            self.group_of, self.groups = b"", ()
        if self.seconds and len(self.seconds) != self.view.count:
            self.begun = self.seconds = ()
        self._set_marks(index for index in self._marked if index < self.view.count)
        self._remask()
        self._rebuild()

    def update(self, indices: Iterable[int]) -> None:
        """These partitions changed in the view."""
        states, now, change = self.states, self.view.states, self.level.change
        for index in indices:
            before, after = states[index], now[index]
            states[index] = after
            change(index, before, after)
        if self.mask is not None:
            self.mask_is_stale = True

    def settle(self) -> set[int]:
        """Bring the level up to date; returns the cells that look different, once."""
        if self.mask_is_stale and self.mask_is_local:
            before = self.mask
            self._remask()
            if self.mask != before:
                self.level.recode(range(self.level.cells))
        return self.level.settle()

    # What the operator chooses

    def show(self, scale: int) -> None:
        """Look at the job at another scale."""
        if scale != self.scale:
            self.scale = scale
            self._rebuild()

    def look_through(self, lens: Lens) -> None:
        """Colour the cells by something else."""
        self.lens = lens
        self.level.recode(range(self.level.cells))

    def select(self, text: str) -> None:
        """Dim what a selection does not take; empty = nothing is dimmed. Raises ValueError of the grammar."""
        selection = Selection.parse(text)
        self.filter, self.filter_text = selection, text.strip()
        self.mask_is_local = selection.is_packed or selection.needs <= self.columns.known.keys() | _PACKED
        self.mask_is_stale = not self.mask_is_local
        if self.mask_is_local:
            self._remask()
        else:
            self.mask = bytes(self.view.count)
        self.level.recode(range(self.level.cells))

    def answer(self, text: str, indices: Iterable[int]) -> None:
        """What the server says that the filter takes; an answer to an earlier filter is ignored."""
        if text == self.filter_text and not self.mask_is_local:
            self.mask = mask_of(indices, self.view.count)
            self.mask_is_stale = False
            self.level.recode(range(self.level.cells))

    def learn(self, groups: Sequence[FailureGroup]) -> None:
        """Which partitions failed together."""
        group_of = bytearray(self.view.count)
        for at, group in enumerate(groups):
            for part in parse_ranges(group.partitions):
                for index in part:
                    if index < self.view.count:
                        group_of[index] = min(at + 1, 255)
        self.groups, self.group_of = tuple(groups), bytes(group_of)
        if self.lens is Lens.GROUP:
            self.level.recode(range(self.level.cells))

    def time(self, begun: Sequence[float | None], seconds: Sequence[float | None]) -> None:
        """When each partition began (seconds since 1970), and how long it ran; None = it has not begun."""
        self.begun, self.seconds = begun, seconds
        known = sorted(value for value in seconds if value is not None)
        self.median = known[len(known) // 2] if known else 0.0
        if self.lens is Lens.DURATION:
            self.level.recode(range(self.level.cells))

    def mark(self, indices: Iterable[int]) -> None:
        """Mark these partitions, or unmark them when all of them are."""
        chosen = set(indices)
        self._set_marks(self.marks - chosen if chosen <= self.marks else self.marks | chosen)
        self.level.recode({index // self.scale for index in chosen})

    def unmark(self) -> None:
        """No marks any more."""
        marked, self._marked, self.marks = self._marked, [], set()
        self.level.recode({index // self.scale for index in marked})

    def matches(self) -> list[int]:
        """The partitions that the filter takes; without a filter none."""
        return [] if self.mask is None else [index for index, byte in enumerate(self.mask) if byte]

    # What is asked

    @property
    def columns(self) -> Columns:
        """What is known of all partitions, for selections."""
        known: dict[Fact, Sequence[object]] = {Fact.INDEX: range(self.view.count)}
        if self.seconds:
            known[Fact.DURATION] = self.seconds
        view = self.view
        return Columns(
            states=view.states, attempts=view.attempts, nodes=view.nodes, node_ids=view.node_ids, known=known
        )

    def worst(self, cell: int) -> int:
        """The partition of a cell that needs attention most; of equals the first."""
        first, last = self.level.span(cell)
        if first >= last:
            return first
        if self.mask is not None:
            taken = [index for index in range(first, last) if self.mask[index]]
            if taken:
                return max(taken, key=lambda index: (badness(self.states[index]), -index))
        states = self.states[first:last]
        worst = max(set(states), key=badness)
        return first + states.index(worst)

    def next_trouble(self, index: int, step: int) -> int | None:
        """The nearest match of the filter, without one the nearest failed, else retrying partition; None = there is none.

        Goes round the end; `step` is 1 or -1.
        """
        if self.mask is not None:
            return _around(self.mask, (1,), index, step)
        failed = _around(self.states, (FAILED,), index, step)
        if failed is not None:
            return failed
        return _around(self.states, (RETRYING,), index, step)

    def next_unfinished(self, index: int, step: int) -> int | None:
        """The unfinished partition after this one, longest first where times are known, else by index; None = there is none.

        Goes round the end.
        """
        kinds = bytes(self.states).translate(KIND_OF)
        wanted = (*(int(state) for state in UNFINISHED), STOPPING_KIND)
        if not self.seconds:
            return _around(kinds, wanted, index, step)
        seconds = self.seconds
        waiting = [at for at, kind in enumerate(kinds) if kind in wanted]
        waiting.sort(key=lambda at: (-(seconds[at] or 0.0), at))
        if not waiting:
            return None
        if index not in waiting:
            return waiting[0 if step > 0 else -1]
        return waiting[(waiting.index(index) + step) % len(waiting)]

    def counts_between(self, first: int, last: int) -> dict[str, int]:
        """How many of partitions first..last-1 are in each state, by kind number as text of the state word."""
        kinds = bytes(self.states[first:last]).translate(KIND_OF)
        return {kind_name(kind): kinds.count(kind) for kind in sorted(set(kinds))}

    def retries(self) -> int:
        """Attempts beyond the first, of all partitions; that an earlier one never began is known to the orchestrator alone."""
        attempts = self.view.attempts
        return sum(attempts) - (len(attempts) - attempts.count(0))

    # The overlay of the level

    def code(self, first: int, last: int) -> int | None:
        """The code that the lens gives to partitions first..last-1; None = the state's."""
        match self.lens:
            case Lens.STATE:
                return None
            case Lens.ATTEMPTS:
                return DIGIT[max(self.view.attempts[first:last], default=0)]
            case Lens.NODE:
                return self._node_code(first, last)
            case Lens.DURATION:
                return self._duration_code(first, last)
            case Lens.GROUP:
                here = self.group_of[first:last].strip(b"\0")
                return LETTER_BASE + (min(here) - 1) % LETTERS if here else ATTEMPT_BASE

    def bits(self, first: int, last: int) -> int:
        """Whether the cell is dimmed or marked."""
        bits = 0
        if self.mask is not None and self.mask.find(1, first, last) < 0:
            bits = DIM
        if self._marked:
            at = bisect_left(self._marked, first)
            if at < len(self._marked) and self._marked[at] < last:
                bits |= MARK
        return bits

    def _node_code(self, first: int, last: int) -> int:
        """The node most of them were on; where some failed, the node of those."""
        nodes = self.view.nodes[first:last]
        if FAILED in self.states[first:last]:
            chosen = array("H", (n for n, s in zip(nodes, self.states[first:last], strict=True) if s == FAILED))
            nodes = chosen or nodes
        for node, _ in Counter(nodes).most_common(2):
            if node != NO_NODE:
                return LETTER_BASE + node % LETTERS
        return ATTEMPT_BASE

    def _duration_code(self, first: int, last: int) -> int:
        known = [value for value in self.seconds[first:last] if value is not None]
        if not known or not self.median:
            return ATTEMPT_BASE
        ratio = max(known) / self.median
        return DURATION_BASE + (0 if ratio < 0.5 else 1 if ratio < 1.5 else 2 if ratio < 3 else 3)

    # How it is kept

    def _rebuild(self) -> None:
        self.level = Level(self.states, self.view.attempts, self.scale, self)

    def _remask(self) -> None:
        self.mask_is_stale = False
        if not self.filter.terms:
            self.mask = None
        elif self.mask_is_local:
            self.mask = scan(self.filter, self.columns)
        elif self.mask is None or len(self.mask) != self.view.count:
            self.mask = bytes(self.view.count)
            self.mask_is_stale = True

    def _set_marks(self, indices: Iterable[int]) -> None:
        self.marks = set(indices)
        self._marked = sorted(self.marks)


_PACKED = frozenset({Fact.INDEX, Fact.STATE, Fact.NODE, Fact.ATTEMPT})


def kind_name(kind: int) -> str:
    """The word of a kind."""
    return "stopping" if kind == STOPPING_KIND else PartitionState(kind).word


def _around(row: bytes | bytearray, wanted: Sequence[int], index: int, step: int) -> int | None:
    """The nearest position after (or before) `index` that holds one of `wanted`, going round the end."""
    if step > 0:
        found = [at for byte in wanted if (at := row.find(byte, index + 1)) >= 0]
        if not found:
            found = [at for byte in wanted if (at := row.find(byte)) >= 0]
        return min(found, default=None)
    found = [at for byte in wanted if (at := row.rfind(byte, 0, max(index, 0))) >= 0]
    if not found:
        found = [at for byte in wanted if (at := row.rfind(byte)) >= 0]
    return max(found, default=None)
