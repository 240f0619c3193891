"""The inspector's partition stays until the cursor moves: keys act on what it names, whatever happens meanwhile."""

import pytest

from orchestrator.contract.partitions import PartitionState as S
from tests.helpers.fake_api import grid_of, ordinary
from tests.helpers.terminal import app_for, quiet, screen, shows
from tui.screens.job import JobPage
from tui.widgets.table import Table


async def test_what_changes_below_a_page_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_for(quiet(ordinary()))
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "4/5")
        below = app.screen
        await pilot.press("enter")
        await shows(pilot, "last error")
        await pilot.pause()
        drawn: list[object] = []
        monkeypatch.setattr(app.screen, "refresh", lambda *regions, **_: drawn.extend(regions))
        below.query_one(Table).refresh()
        for _ in range(5):
            await pilot.pause()
        assert drawn == []
        monkeypatch.undo()
        await pilot.press("q")
        await shows(pilot, "4/5")


async def test_a_worse_partition_in_the_same_cell_is_told_and_does_not_take_its_place() -> None:
    api = quiet(ordinary())
    api.on("GET", ".*/partitions", grid_of([S.RUNNING] * 40))
    app = app_for(api, job="x")
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "40 partitions")
        await pilot.press("minus", "minus")
        await shows(pilot, "5 a cell")
        page = app.screen
        assert isinstance(page, JobPage)
        await shows(pilot, "0 ▶ Running")
        page.view.states[2] = S.FAILED
        page.model.update([2])
        await shows(pilot, "+1 worse")
        page.grid.post_message(page.grid.Moved(page.grid))
        await pilot.pause()
        assert page.focus_now().partition == 0
        assert "0 ▶ Running" in screen(app)
        await pilot.press("right")
        await shows(pilot, "5 ▶ Running")
        await pilot.press("left")
        await shows(pilot, "2 ✗ Failed")
        assert page.focus_now().partition == 2
