"""The grid, line by line: what it draws, what it draws again, where its cursor is."""

from array import array
from collections.abc import AsyncIterator, Sequence

import pytest
from textual.app import App, ComposeResult

from orchestrator.contract.partitions import PartitionState as S
from tui.feed import JobView
from tui.model.job import JobModel
from tui.styles.themes import DARK, THEMES
from tui.widgets import palette
from tui.widgets.partition_grid import PartitionGrid


class GridApp(App[None]):
    """Only a grid."""

    def __init__(self, model: JobModel, *, is_mono: bool = False, is_ascii: bool = False) -> None:
        super().__init__()
        self.model = model
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "dark"
        self._looks = (is_ascii, is_mono)

    @property
    def palette(self) -> palette.Palette:
        is_ascii, is_mono = self._looks
        return palette.make(self.theme_variables, colours="truecolor", is_ascii=is_ascii, is_mono=is_mono)

    def compose(self) -> ComposeResult:
        yield PartitionGrid(self.model)


def model_of(states: Sequence[int]) -> JobModel:
    view = JobView()
    view.count, view.states, view.attempts = len(states), bytearray(states), bytearray(b"\1" * len(states))
    view.nodes = array("H", [65535] * len(states))
    model = JobModel(view)
    model.reload()
    return model


@pytest.fixture
async def grid() -> AsyncIterator[PartitionGrid]:
    model = model_of([S.COMPLETED] * 120 + [S.FAILED] + [S.WAITING] * 129)
    app = GridApp(model)
    async with app.run_test(size=(120, 10)) as pilot:
        found = app.query_one(PartitionGrid)
        found.fit()
        await pilot.pause()
        yield found


async def test_a_row_is_its_first_index_and_a_glyph_a_partition(grid: PartitionGrid) -> None:
    assert [grid.render_line(y).text.rstrip() for y in range(4)] == [
        "       0 " + "█" * 100,
        "     100 " + "█" * 20 + "✗" + "·" * 79,
        "     200 " + "·" * 50,
        "",
    ]
    assert all(grid.render_line(y).cell_length == grid.size.width for y in range(4))


async def test_failed_cells_are_filled_and_every_segment_has_a_background(grid: PartitionGrid) -> None:
    strip = grid.render_line(1)
    failed = next(segment for segment in strip if segment.text == "✗")
    assert failed.style is not None
    assert failed.style.bgcolor is not None
    assert failed.style.bgcolor.name == DARK["failed"]
    assert all(segment.style is not None and segment.style.bgcolor is not None for segment in strip)


async def test_only_rows_that_changed_are_drawn_again(grid: PartitionGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(grid, "refresh", lambda *regions, **_: drawn.extend(region.y for region in regions))
    grid.model.view.states[220] = S.RUNNING
    grid.model.view.states[5] = S.COMPLETED
    grid.model.update([5, 220])
    assert grid.flush(40) == 1
    assert drawn == [2]


async def test_zooming_keeps_the_worst_partition_of_the_cell(grid: PartitionGrid) -> None:
    grid.place(120)
    for step, cell in ((1, 60), (1, 24), (1, 12), (-1, 24), (-1, 60), (-1, 120)):
        grid.zoom(step)
        assert grid.cursor == cell
    assert grid.model.scale == 1


async def test_the_cursor_stays_inside(grid: PartitionGrid) -> None:
    grid.action_move(-1)
    assert grid.cursor == 0
    grid.action_end()
    assert grid.cursor == 249
    grid.action_shift(1)
    grid.action_move(1)
    assert grid.cursor == 249
    grid.action_home()
    grid.action_move(1)
    assert grid.cursor == 100


@pytest.mark.parametrize(("is_ascii", "row"), [(False, "✗"), (True, "X")])
async def test_without_colour_completed_is_quiet_and_failed_is_reversed(*, is_ascii: bool, row: str) -> None:
    app = GridApp(model_of([S.COMPLETED, S.FAILED]), is_mono=True, is_ascii=is_ascii)
    async with app.run_test(size=(60, 5)):
        grid = app.query_one(PartitionGrid)
        grid.fit()
        grid.point(0)
        strip = grid.render_line(0)
    assert "█" not in strip.text
    failed = next(segment for segment in strip if segment.text == row)
    assert failed.style is not None
    assert failed.style.reverse
    assert failed.style.bold


async def test_for_a_slow_terminal_few_rows_are_drawn_at_a_time_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of([S.WAITING] * 1000)
    app = GridApp(model)
    async with app.run_test(size=(110, 12)) as pilot:
        grid = app.query_one(PartitionGrid)
        model.show(1)
        grid.lay_out()
        await pilot.pause()
        drawn: list[int] = []
        monkeypatch.setattr(grid, "_refresh_row", drawn.append)
        for index in range(0, 1000, 100):
            model.view.states[index] = S.FAILED
        model.update(range(0, 1000, 100))
        assert grid.flush(4) == 10
        assert len(drawn) == 4
        grid.flush(4)
        grid.flush(4)
        assert sorted(drawn) == list(range(10)), "each row once"
        grid.flush(4)
        assert len(drawn) == 10
