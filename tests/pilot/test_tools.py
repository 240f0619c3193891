"""Errors, nodes, composing, comparing, logs of all and events, key by key, against the real orchestrator."""

from pathlib import Path

import pytest

from orchestrator.contract.agent import LogTail, Stream
from orchestrator.contract.execution import Cause
from tests.helpers.server import JOBS, Agent, Api
from tests.helpers.terminal import app_for, screen, shows, wait_for
from tui.app import ShoalApp
from tui.screens.compose import ComposePage
from tui.screens.events import EventsPage
from tui.screens.job import JobPage
from tui.screens.log import LogPage


async def job_with_two_kinds_of_failure(api: Api, agent: Agent) -> str:
    """Of six partitions two ran out of memory, one has a bad date."""
    job_id = await api.submit("etl", count=6, Retry={"MaxAttempts": 1})
    await agent.sync()
    for index in range(6):
        tail = LogTail(stream=Stream.OUT, offset=0, content=f"begin {index}\nrows {index}00\n".encode())
        if index in (1, 4):
            agent.end(index, exit_code=137, cause=Cause.OOM, message="out of memory", tails=(tail,))
        elif index == 2:
            bad = LogTail(stream=Stream.ERR, offset=0, content=b"ValueError: bad date\n")
            agent.end(index, exit_code=1, cause=Cause.EXIT, message="ValueError: bad date", tails=(tail, bad))
        else:
            agent.end(index, tails=(tail,))
    await agent.sync()
    await api.until(f"{JOBS}/{job_id}", lambda answer: answer["Job"]["State"]["StateType"] == "Failed")
    return job_id


async def test_failures_are_told_apart_and_one_group_is_retried_in_five_keys(api: Api) -> None:
    agent = Agent(api)
    job_id = await job_with_two_kinds_of_failure(api, agent)
    app = app_for(api.url)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await shows(pilot, "✗3")
        await pilot.press("E")
        await shows(pilot, "2 failure groups")
        text = screen(app)
        assert text.index("oom") < text.index("bad date"), "the largest first"
        await pilot.press("r")
        await shows(pilot, "Retry 2 partitions of etl")
        await pilot.press("y")
        await shows(pilot, "retry: 2 partitions")
    states = (await api.get(f"{JOBS}/{job_id}/partitions"))["Summary"]
    assert states.get("Failed") == 1


async def test_what_is_typed_into_a_field_of_a_dialog_is_seen(api: Api) -> None:
    await job_with_two_kinds_of_failure(api, Agent(api))
    app = app_for(api.url)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "etl")
        await pilot.press("r")
        await shows(pilot, "Retry 3 partitions of etl")
        await pilot.press("tab", "tab", "ctrl+u", *"96GB")
        await shows(pilot, "memory 96GB")
        await pilot.press("escape", "g", "n", "D")
        await shows(pilot, "Drain node n1")
        await pilot.press("tab", "tab", *"17m")
        await shows(pilot, "17m")


async def test_who_has_a_text_in_its_log_is_found_from_the_command_bar(api: Api) -> None:
    await job_with_two_kinds_of_failure(api, Agent(api))
    app = app_for(api.url)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "✗3")
        await pilot.press("enter")
        await shows(pilot, "last error")
        await pilot.press("colon", *"find bad date", "enter")
        await shows(pilot, "1 hit")
        await shows(pilot, "logs searched")
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(app.screen, LogPage) and app.screen.at.partition == 2, "its log")
        await shows(pilot, "1/1 matches")


async def test_a_group_leads_to_its_cells_and_to_a_sample_log(api: Api) -> None:
    await job_with_two_kinds_of_failure(api, Agent(api))
    app = app_for(api.url)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "✗3")
        await pilot.press("E")
        await shows(pilot, "bad date")
        await pilot.press("down", "l")
        await wait_for(pilot, lambda: isinstance(app.screen, LogPage) and app.screen.at.partition == 2, "its log")
        await shows(pilot, "ValueError: bad date")
        await pilot.press("q")
        await shows(pilot, "2 failure groups")
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(app.screen, JobPage), "the grid")
        await shows(pilot, "1 match")
        page = app.screen
        assert isinstance(page, JobPage)
        await wait_for(pilot, lambda: page.pinned == 2, "the cursor is on the sample")


async def test_all_logs_say_where_each_line_is_from_and_lead_there(api: Api) -> None:
    await job_with_two_kinds_of_failure(api, Agent(api))
    app = app_for(api.url)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "✗3")
        await pilot.press("enter")
        await shows(pilot, "last error")
        await pilot.press("L")
        await shows(pilot, "5.1 rows 500")
        await shows(pilot, "every log has ended")
        await pilot.press("slash", *"bad", "enter")
        await shows(pilot, "1/1 matches")
        assert "enter its log" in screen(app).splitlines()[-1]
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.screen.focused is not None and "log" in screen(app).splitlines()[0], "a log")
        await wait_for(
            pilot, lambda: type(app.screen) is LogPage and app.screen.at.partition == 2, "the log of partition 2"
        )


async def test_events_of_a_job_tell_its_failures(api: Api) -> None:
    await job_with_two_kinds_of_failure(api, Agent(api))
    app = app_for(api.url)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "✗3")
        await pilot.press("v")
        await shows(pilot, "FOLLOW")
        await pilot.press("slash", *"memory", "enter")
        await shows(pilot, "out of memory")
        assert isinstance(app.screen, EventsPage)
        assert app.screen.at.job_id


@pytest.mark.parametrize("keys", [("g", "v"), ("enter", "g", "v"), ("g", "n", "g", "v"), ("colon", *"events", "enter")])
async def test_events_behind_g_are_those_of_the_cluster_wherever_one_is(api: Api, keys: tuple[str, ...]) -> None:
    await job_with_two_kinds_of_failure(api, Agent(api))
    app = app_for(api.url)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "✗3")
        await pilot.press(*keys)
        await wait_for(pilot, lambda: isinstance(app.screen, EventsPage), "events")
        assert isinstance(app.screen, EventsPage)
        assert app.screen.at.job_id == ""
        await pilot.press("slash", *"n1", "enter")
        await shows(pilot, "joined")


async def test_the_command_bar_leads_to_the_log_of_an_attempt_and_saves_what_is_shown(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await job_with_two_kinds_of_failure(api, Agent(api))
    app = app_for(api.url)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await shows(pilot, "✗3")
        await pilot.press("colon", *"export", "enter")
        await shows(pilot, "1 job written to")
        assert "etl" in (tmp_path / "shoal-jobs.csv").read_text()
        await pilot.press("colon", *"logs", "space", *"2.1", "enter")
        await shows(pilot, "ValueError: bad date")
        assert isinstance(app.screen, LogPage)
        assert (app.screen.at.partition, app.screen.at.attempt) == (2, 1)
        await pilot.press("escape", "enter")
        await shows(pilot, "zoom in")
        await pilot.press("colon")
        await wait_for(pilot, lambda: "zoom in" not in screen(app), "no key that would be text")
        await pilot.press("escape", "g", "p", "colon", *"logs", "enter")
        await shows(pilot, "logs: open a job first")


async def test_what_is_wrong_is_told_with_its_line_and_nothing_is_sent(api: Api, tmp_path: Path) -> None:
    app = app_for(api.url, home=tmp_path / "home")
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await shows(pilot, "No nodes yet")
        await pilot.press("c")
        await wait_for(pilot, lambda: isinstance(app.screen, ComposePage), "compose")
        await shows(pilot, "hello")
        page = app.screen
        assert isinstance(page, ComposePage)
        await pilot.press("f2")
        page.query_one("#yaml").text = page.composed.text.replace("Memory: 32mb", "Memory: plenty")  # type: ignore[attr-defined]
        await shows(pilot, "Memory")
        await shows(pilot, "line 11: ")
        await pilot.press("f4", "right", "enter")
        await shows(pilot, "something to mend")
    assert (await api.get(JOBS))["Items"] == []


async def test_a_draft_outlives_leaving(api: Api, tmp_path: Path) -> None:
    app = app_for(api.url, home=tmp_path / "home")
    async with app.run_test(size=(100, 30)) as pilot:
        await shows(pilot, "No nodes yet")
        await pilot.press("c")
        await shows(pilot, "hello")
        await pilot.press("end", "x", "y", "z")
        await shows(pilot, "helloxyz")
        await pilot.press("escape")
        await wait_for(pilot, lambda: not isinstance(app.screen, ComposePage), "left")
        await pilot.press("c")
        await shows(pilot, "helloxyz")


async def test_read_only_hides_what_acts(api: Api) -> None:
    await job_with_two_kinds_of_failure(api, Agent(api))
    app: ShoalApp = app_for(api.url, read_only=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "✗3")
        await pilot.press("E")
        await shows(pilot, "2 failure groups")
        assert "retry" not in screen(app).splitlines()[-1]
        await pilot.press("r")
        await pilot.pause(0.2)
        assert "Retry" not in screen(app)
        await pilot.press("q", "g", "n")
        await shows(pilot, "Connected")
        assert "drain" not in screen(app).splitlines()[-1]
