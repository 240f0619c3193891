"""Acting on jobs from their list: marked ones together, held and let go, and never on another number than was told."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.server import JOBS, Agent, Api, orchestrator
from tests.helpers.terminal import app_for, screen, shows, wait_for
from tui.screens.acting import ActDialog
from tui.screens.jobs import JobsPage


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with orchestrator(tmp_path / "data") as url:
        api = Api(url)
        yield api
        await api.http.aclose()


async def state_of(api: Api, job: str) -> str:
    return str((await api.get(f"{JOBS}/{job}"))["Job"]["State"]["StateType"])


async def test_a_stop_whose_count_has_changed_says_so_and_asks_again(api: Api) -> None:
    agent = Agent(api)
    await api.submit("etl", count=3)
    await agent.sync()
    app = app_for(api.url)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "etl")
        await pilot.press("x")
        await shows(pilot, "Stop 3 partitions of etl")
        agent.end(0)
        await agent.sync()
        await pilot.press("y")
        await shows(pilot, "etl: 3 were counted, 2 it is now. Is it still meant?")
        assert "Stop 2 partitions of etl" in screen(app)
        assert await state_of(api, "etl") == "Running"
        await pilot.press("y")
        await wait_for(pilot, lambda: isinstance(app.screen, JobsPage), "the dialog closes")
        assert await state_of(api, "etl") == "Stopped"


async def test_a_stop_of_partitions_that_ended_meanwhile_is_a_word_and_nothing_more(api: Api) -> None:
    agent = Agent(api)
    job_id = await api.submit("etl", count=2)
    await agent.sync()
    app = app_for(api.url, job=job_id)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "2 partitions")
        await pilot.press("x")
        await shows(pilot, "Stop 1 partition of etl")
        agent.end(0)
        await agent.sync()
        await pilot.press("y")
        await wait_for(pilot, lambda: not isinstance(app.screen, ActDialog), "the dialog closes")
        assert (await api.get(f"{JOBS}/{job_id}/partitions"))["Summary"] == {"Completed": 1, "Assigned": 1}
