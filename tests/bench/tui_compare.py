"""What a picture of the grid costs, against a DataTable and a widget a cell, in the same run: python -m tests.bench.tui_compare

Each draws random changes for some seconds, without a terminal; CPU per picture, then ratios. The last line is JSON.
"""

import asyncio
import json
import random
import sys
import time
from array import array
from collections.abc import Callable, Mapping

from textual.app import App, ComposeResult
from textual.containers import Grid
from textual.widgets import DataTable, Static

from tui.feed import JobView
from tui.model.job import JobModel
from tui.styles.themes import THEMES
from tui.widgets import palette
from tui.widgets.partition_grid import PartitionGrid

SECONDS = 4.0
PARTITIONS, CHANGES = 100_000, 500
"""Partitions, and how many change between two pictures."""
TABLE_ROWS, TABLE_COLUMNS = 100, 100
WIDGETS = 1_000
STATES = (1, 3, 4, 6, 6, 2, 7)


class Ours(App[None]):
    """The grid of 100,000 partitions."""

    def __init__(self) -> None:
        super().__init__()
        view = JobView()
        view.count = PARTITIONS
        view.states, view.attempts = bytearray(b"\1" * PARTITIONS), bytearray(PARTITIONS)
        view.nodes = array("H", [65535]) * PARTITIONS
        self.model = JobModel(view)
        self.model.reload()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "dark"

    @property
    def palette(self) -> palette.Palette:
        """Styles of the dark theme."""
        return palette.make(self.theme_variables, colours="truecolor", is_ascii=False, is_mono=False)

    def compose(self) -> ComposeResult:
        """Only the grid."""
        yield PartitionGrid(self.model)

    def begin(self) -> None:
        """The whole job on the screen."""
        self.query_one(PartitionGrid).fit()

    def change(self) -> None:
        """The next picture."""
        chosen = random.sample(range(PARTITIONS), CHANGES)
        for index in chosen:
            self.model.view.states[index] = random.choice(STATES)
        self.model.update(chosen)
        self.query_one(PartitionGrid).flush(40)


class Table(App[None]):
    """A DataTable of a tenth of them."""

    def compose(self) -> ComposeResult:
        """Only the table."""
        yield DataTable(show_header=False)

    def begin(self) -> None:
        """All cells."""
        table = self.query_one(DataTable)
        self.columns = [table.add_column(f"{at}", width=1) for at in range(TABLE_COLUMNS)]
        self.rows = [table.add_row(*("·" * TABLE_COLUMNS)) for _ in range(TABLE_ROWS)]

    def change(self) -> None:
        """The next picture."""
        table = self.query_one(DataTable)
        for _ in range(CHANGES):
            table.update_cell(random.choice(self.rows), random.choice(self.columns), random.choice("·○▶█↻✗"))


class Cells(App[None]):
    """A widget for each of a hundredth of them."""

    CSS = (
        f"Grid {{ grid-size: 100 {WIDGETS // 100}; grid-rows: 1; grid-columns: 1; }} Static {{ width: 1; height: 1; }}"
    )

    def compose(self) -> ComposeResult:
        """All cells."""
        with Grid():
            for _ in range(WIDGETS):
                yield Static("·")

    def begin(self) -> None:
        """Where they are."""
        self.cells = list(self.query(Static))

    def change(self) -> None:
        """The next picture; a fifth of the changes."""
        for _ in range(CHANGES // 5):
            random.choice(self.cells).update(random.choice("·○▶█↻✗"))


KINDS: Mapping[str, Callable[[], Ours | Table | Cells]] = {"grid": Ours, "table": Table, "widgets": Cells}


async def cost(app: Ours | Table | Cells) -> dict[str, float]:
    """CPU milliseconds a picture, and pictures a second at most ten."""
    async with app.run_test(size=(120, 40)) as pilot:
        app.begin()
        await pilot.pause()
        pictures, cpu, begun = 0, time.process_time(), time.monotonic()
        while (passed := time.monotonic() - begun) < SECONDS:
            app.change()
            await pilot.pause()
            for strip in app.screen._compositor.render_strips():
                strip.render(app.console)
            pictures += 1
            await asyncio.sleep(max(0.0, begun + pictures / 10 - time.monotonic()))
        spent = time.process_time() - cpu
    return {"ms_per_picture": round(1000 * spent / pictures, 2), "pictures_per_s": round(pictures / passed, 1)}


def main() -> int:
    """Measure, print."""
    found = {name: asyncio.run(cost(kind())) for name, kind in KINDS.items()}
    ours = found["grid"]["ms_per_picture"]
    for name, figures in found.items():
        figures["ratio"] = round(figures["ms_per_picture"] / ours, 1)
        sys.stdout.write(f"{name:<8} {figures}\n")
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
