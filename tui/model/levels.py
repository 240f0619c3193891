"""One job, seen at one scale: so many partitions a cell. Kept true change by change, never by counting again."""

from array import array
from collections.abc import Iterable
from typing import Protocol

from tui.model.cells import KIND_OF, KINDS, code_of_counts, code_of_one

SCALES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""Partitions a cell."""


class Overlay(Protocol):
    """What lies over the states: another lens, a filter, marks."""

    def code(self, first: int, last: int) -> int | None:
        """The code that a lens gives partitions first..last-1; None = the lens shows states."""

    def bits(self, first: int, last: int) -> int:
        """DIM and MARK as they apply to partitions first..last-1."""


class Level:
    """The cells of a job at one scale. `codes` is what is drawn, a byte a cell; `dirty` names cells whose code changed."""

    def __init__(self, states: bytearray, attempts: bytearray, scale: int, overlay: Overlay) -> None:
        self.scale = scale
        self.count = len(states)
        self.cells = -(-self.count // scale)
        self.codes = bytearray(self.cells)
        self.dirty: set[int] = set()
        self.counts: array[int] = array("H", bytes(2 * KINDS * self.cells if scale > 1 else 0))
        self._states = states
        self._attempts = attempts
        self._overlay = overlay
        self._stale: set[int] = set()
        self._count()
        self.recode(range(self.cells))
        self.dirty.clear()

    def span(self, cell: int) -> tuple[int, int]:
        """The partitions of a cell: the first, and the one after the last."""
        first = cell * self.scale
        return first, min(first + self.scale, self.count)

    def _count(self) -> None:
        if self.scale == 1:
            return
        kinds = bytes(self._states).translate(KIND_OF)
        counts, scale = self.counts, self.scale
        present = [kind for kind in range(KINDS) if kind in kinds]
        for kind in present:
            for cell in range(self.cells):
                counts[cell * KINDS + kind] = kinds.count(kind, cell * scale, (cell + 1) * scale)

    def change(self, index: int, before: int, after: int) -> None:
        """A partition's state byte went from `before` to `after`, or its attempts or node changed."""
        cell = index // self.scale
        if self.scale > 1 and before != after:
            base = cell * KINDS
            self.counts[base + KIND_OF[before]] -= 1
            self.counts[base + KIND_OF[after]] += 1
        self._stale.add(cell)

    def settle(self) -> set[int]:
        """Bring the codes of changed cells up to date; returns the cells that look different, once."""
        if self._stale:
            self.recode(self._stale)
            self._stale.clear()
        dirty, self.dirty = self.dirty, set()
        return dirty

    def recode(self, cells: Iterable[int]) -> None:
        """Make the codes of these cells anew."""
        codes, dirty, overlay = self.codes, self.dirty, self._overlay
        for cell in cells:
            first, last = self.span(cell)
            code = overlay.code(first, last)
            if code is None:
                code = self._state_code(cell, first, last)
            code |= overlay.bits(first, last)
            if codes[cell] != code:
                codes[cell] = code
                dirty.add(cell)

    def _state_code(self, cell: int, first: int, last: int) -> int:
        if self.scale == 1:
            return code_of_one(self._states[first], self._attempts[first])
        return code_of_counts(self.counts, cell * KINDS, last - first)

    def recount(self) -> "array[int]":
        """The counts as they have to be, counted from the start: for tests of the level itself."""
        fresh: array[int] = array("H", bytes(2 * len(self.counts)))
        for index, state in enumerate(self._states):
            fresh[index // self.scale * KINDS + KIND_OF[state]] += 1
        return fresh


def fitting(count: int, columns: int, rows: int) -> int:
    """The smallest scale at which a job fits into so many cells; the coarsest where none does."""
    room = max(1, columns * rows)
    return next((scale for scale in SCALES if scale * room >= count), SCALES[-1])
