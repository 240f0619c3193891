"""The partitions of a job as a table of any length: order and filter over the model's arrays, details only of what is seen."""

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.client import ClientError
from orchestrator.contract.partitions import Row, state_word
from orchestrator.contract.selection import format_ranges
from tui.background import begin
from tui.model.cells import badness
from tui.model.moments import counted, precise_clock, seconds_of, short_duration
from tui.screens.export import export
from tui.widgets.stacked_bar import MARKS
from tui.widgets.table import Cell, Column, Table

if TYPE_CHECKING:
    from tui.screens.job import JobPage

COLUMNS = (
    Column(title="PARTITION", width=11, right=True, order="partition"),
    Column(title="STATE", width=12, order="state"),
    Column(title="ATTEMPT", width=7, right=True, order="attempts"),
    Column(title="NODE", width=14, drop=1, order="node"),
    Column(title="STARTED", width=12, drop=4, order="started"),
    Column(title="DURATION", width=8, right=True, drop=2, order="duration"),
    Column(title="EXIT", width=4, right=True, drop=3),
    Column(title="CAUSE", width=9, drop=2),
    Column(title="MESSAGE", width=10, flexible=True),
)
ORDERS = ("partition", "state", "attempts", "node", "started", "duration")


class PartitionRows:
    """Which partition is in which row."""

    def __init__(self, page: "JobPage") -> None:
        self.page = page
        self.order = ORDERS[0]
        self.indices: Sequence[int] = ()
        self._details: dict[int, tuple[int, int, Row]] = {}
        self._asked: set[int] = set()

    @property
    def table(self) -> Table:
        """The widget."""
        return self.page.query_one("#partitions", Table)

    def update(self) -> None:
        """Filter, order or the number of partitions changed."""
        if not self.page.has_class("-table"):
            return
        model, view = self.page.model, self.page.view
        chosen: Sequence[int] = range(view.count) if model.mask is None else model.matches()
        match self.order:
            case "state":
                chosen = sorted(chosen, key=lambda index: -badness(view.states[index]))
            case "attempts":
                chosen = sorted(chosen, key=lambda index: -view.attempts[index])
            case "node":
                chosen = sorted(chosen, key=view.nodes.__getitem__)
            case "started" if model.begun:
                chosen = sorted(chosen, key=lambda index: -(model.begun[index] or 0.0))
            case "duration" if model.seconds:
                chosen = sorted(chosen, key=lambda index: -(model.seconds[index] or 0.0))
            case _:
                pass
        here = self.index()
        self.indices = chosen
        table = self.table
        table.sorted_by = ORDERS.index(self.order)
        table.show(len(chosen), self.cells)
        if here is not None:
            self.point(here)

    def sort(self, order: str = "") -> None:
        """An order, else the next one."""
        self.order = order or ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        self.update()

    def index(self) -> int | None:
        """The partition under the cursor."""
        cursor = self.table.cursor
        return self.indices[cursor] if 0 <= cursor < len(self.indices) else None

    def point(self, index: int) -> None:
        """Put the cursor on a partition, if it is listed."""
        with contextlib.suppress(ValueError):
            self.table.point(self.indices.index(index))

    def cells(self, row: int) -> Sequence[Cell]:
        """A partition."""
        view = self.page.view
        index = self.indices[row]
        word = state_word(view.states[index])
        known = self._details.get(index)
        detail = known[2] if known and known[:2] == (view.states[index], view.attempts[index]) else None
        if detail is None and view.attempts[index]:
            self._asked.add(index)
        model = self.page.model
        started = model.begun[index] if model.begun else None
        seconds = model.seconds[index] if model.begun else None
        ran = short_duration(seconds) if seconds is not None else ""
        if detail:
            started = seconds_of(detail.started)
        if detail and started is not None:
            ran = short_duration((seconds_of(detail.finished) or self.page.shoal.wall()) - started)
        return (
            f"{index}",
            [(f"{MARKS.get(word.capitalize(), '·')} {word}", word)],
            f"{view.attempts[index]}" if view.attempts[index] else "–",
            view.node_of(index),
            precise_clock(started) if started is not None else "",
            ran,
            "" if detail is None or detail.exit_code is None else str(detail.exit_code),
            detail.cause if detail else "",
            [(detail.message if detail else "", "failed" if word == "failed" else "muted")],
        )

    def repaint(self, *, is_changed: bool) -> None:
        """Draw again what changed, and ask for the details of what was seen without."""
        if is_changed:
            if self.order != ORDERS[0] or self.page.model.mask is not None:
                self.update()
            else:
                self.table.refresh()
        if self._asked:
            wanted, self._asked = sorted(self._asked)[:200], set()
            begin(self.page, "rows", self._fetch, wanted)

    async def _fetch(self, wanted: list[int]) -> None:
        view = self.page.view
        with contextlib.suppress(ClientError):
            page = await self.page.shoal.client.rows(view.job_id, format_ranges(wanted), limit=200)
            for row in page.items:
                if row.index < view.count:
                    self._details[row.index] = (view.states[row.index], view.attempts[row.index], row)
            self.table.refresh()

    def export(self, kind: str) -> None:
        """What the grid knows of the listed partitions, else of all, as a file."""
        page, view = self.page, self.page.view
        rows = [
            {"partition": i, "state": state_word(view.states[i]), "attempts": view.attempts[i], "node": view.node_of(i)}
            for i in (page.model.matches() if page.model.mask is not None else range(view.count))
        ]
        export(page.shoal, kind, f"{view.job_id[:10]}-partitions", rows, counted(len(rows), "partition"))
