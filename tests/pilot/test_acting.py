"""Acting on jobs from their list: marked ones together, held and let go, and never on another number than was told."""

from tests.helpers.server import JOBS, Agent, Api
from tests.helpers.terminal import app_for, screen, shows, wait_for
from tui.screens.acting import ActDialog
from tui.screens.job import JobPage
from tui.screens.jobs import JobsPage
from tui.widgets.lines import Lines


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


async def test_marked_jobs_are_stopped_by_one_dialog_that_counts_them_all(api: Api) -> None:
    for name, count in (("etl", 3), ("index", 4), ("report", 5)):
        await api.submit(name, count=count)
    app = app_for(api.url)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "3 of 3 jobs")
        await pilot.press("O", "O", "home", "space", "down", "space")
        await shows(pilot, "2 jobs marked")
        assert screen(app).count("✓ ") == 3  # two rows, and the line above them
        await pilot.press("x")
        await shows(pilot, "Stop 7 partitions of 2 jobs")
        assert "target: 2 marked jobs  now: 7 waiting" in screen(app)
        assert "etl 3, index 4" in screen(app)
        await pilot.press("y")
        await wait_for(pilot, lambda: isinstance(app.screen, JobsPage), "the dialog closes")
        states = [await state_of(api, name) for name in ("etl", "index", "report")]
        assert states == ["Stopped", "Stopped", "Queued"]
        await wait_for(pilot, lambda: "marked" not in screen(app), "the marks are gone")


async def test_marks_are_a_range_all_and_taken_away_by_esc(api: Api) -> None:
    for name in ("a1", "a2", "b1", "b2"):
        await api.submit(name, count=1)
    app = app_for(api.url)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "4 of 4 jobs")
        await pilot.press("O", "O", "home", "V", "down", "down", "V")
        await shows(pilot, "3 jobs marked")
        await pilot.press("slash", *"a", "enter")
        await shows(pilot, "2 jobs marked")
        await pilot.press("escape", "escape")
        await wait_for(pilot, lambda: "marked" not in screen(app), "esc takes the marks away")
        await pilot.press("asterisk")
        await shows(pilot, "4 jobs marked")
        await pilot.press("asterisk")
        await wait_for(pilot, lambda: "marked" not in screen(app), "* a second time takes them away")


async def test_a_job_is_suspended_and_resumed_by_the_one_key_that_applies(api: Api) -> None:
    agent = Agent(api, cpu=1)
    job_id = await api.submit("etl", count=3)
    await agent.sync()
    agent.run(0)
    await agent.sync()
    app = app_for(api.url)
    async with app.run_test(size=(160, 40)) as pilot:
        await shows(pilot, "H suspend")
        await pilot.press("H")
        await shows(pilot, "Suspend 3 partitions of etl")
        assert "now: 1 running, 2 waiting" in screen(app)
        await pilot.press("y")
        await shows(pilot, "H resume")
        assert "Suspended" in screen(app)
        assert "H suspend" not in screen(app)
        await pilot.press("enter")
        await shows(pilot, "lens state · Suspended")
        await pilot.press("H")
        await shows(pilot, "Resume 3 partitions of etl")
        await pilot.press("y")
        await wait_for(pilot, lambda: isinstance(app.screen, JobPage), "the dialog closes")
        await wait_for(pilot, lambda: app.screen.hold_now() == "suspend", "it goes on")  # type: ignore[attr-defined]
        assert not (await api.get("/api/v1/orchestrator/jobs", include="summary"))["Items"][0].get("Suspended")
        await agent.sync()
        agent.end(0)
        await agent.sync()
        agent.end(1)
        await agent.sync()
        agent.end(2)
        await agent.sync()
        await api.until(f"{JOBS}/{job_id}", lambda answer: answer["Job"]["State"]["StateType"] == "Completed")
        await wait_for(pilot, lambda: app.screen.hold_now() == "", "nothing of it can be held")  # type: ignore[attr-defined]


async def test_the_map_of_the_job_under_the_cursor_is_live_and_asked_for_once(api: Api) -> None:
    agent = Agent(api, cpu=2)
    await api.submit("etl", count=2)
    await agent.sync()
    app = app_for(api.url)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "etl")
        page = app.screen
        assert isinstance(page, JobsPage)

        def cells() -> str:
            return page.query_one("#map", Lines).text.removeprefix(" map  ")

        await wait_for(pilot, lambda: cells() == "○○", "the map is there")
        agent.run(0, 1)
        await agent.sync()
        await wait_for(pilot, lambda: cells() == "▶▶", "it follows")
        agent.end(0)
        await agent.sync()
        await wait_for(pilot, lambda: cells() == "█▶", "it follows")
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.screen is not page and page.map.job_id == "", "nobody looks")
