"""A log that is open goes on into an attempt that begins meanwhile, whoever asked for it, or says that there is one."""

import re
from pathlib import Path

import pytest

from orchestrator.contract.agent import LogTail, Stream
from orchestrator.contract.execution import Cause
from tests.helpers.agents import agent, config_of
from tests.helpers.server import JOBS, Agent, Api, plain_job
from tests.helpers.terminal import app_for, screen, shows, wait_for
from tests.pilot.test_nodes_live import asked
from tui.places import Focus
from tui.screens import log_source
from tui.screens.log import LogPage


async def test_a_retry_from_a_log_that_follows_shows_the_new_attempt_by_itself(api: Api, tmp_path: Path) -> None:
    script = "[ $BACALHAU_ATTEMPT = 2 ] && echo it is mended && exit; echo it breaks; exit 3"
    job = plain_job("etl", count=1, Retry={"MaxAttempts": 1})
    job["Tasks"][0]["Engine"]["Params"] = {"Command": "sh", "Arguments": ["-c", script]}
    async with agent(config_of(api.url, tmp_path / "n1")):
        job_id = (await api.put(JOBS, {"Job": job}))["JobID"]
        app = app_for(api.url, job=job_id)
        async with app.run_test(size=(120, 30)) as pilot:
            await shows(pilot, "✗ Failed")
            await pilot.press("l")
            await shows(pilot, "it breaks")
            await shows(pilot, "attempt 1 of 1")
            await pilot.press("f", "r")
            await shows(pilot, "now: 1 failed")
            await pilot.press("y")
            await shows(pilot, "it is mended")
            await shows(pilot, "attempt 2 of 2  █ completed")
            assert "attempt 2 on n1" in screen(app), "a rule"
            assert "it breaks" in screen(app), "in the same text"


async def failed(api: Api) -> tuple[Agent, str]:
    """A job whose one partition failed at its first attempt."""
    node = Agent(api)
    job_id = await api.submit("etl", count=1, Retry={"MaxAttempts": 1})
    await node.sync()
    await ends(node, "first", exit_code=3)
    return node, job_id


async def ends(node: Agent, text: str, *, exit_code: int = 0) -> None:
    """The partition's attempt ends, having said something."""
    tail = LogTail(stream=Stream.OUT, offset=0, content=f"{text}\n".encode())
    node.end(0, exit_code=exit_code, cause=Cause.EXIT if exit_code else None, tails=(tail,))
    await node.sync()


async def retry(api: Api, node: Agent, job_id: str, text: str) -> None:
    """Another operator's, which ends at once."""
    await api.put(f"{JOBS}/{job_id}/partitions/retry", {"Select": "0", "IncludeCompleted": True})
    await node.sync()
    await ends(node, text)


async def test_a_log_that_does_not_follow_keeps_its_place_and_names_the_key_to_the_newer_attempt(api: Api) -> None:
    node, job_id = await failed(api)
    app = app_for(api.url, job=job_id)
    async with app.run_test(size=(120, 30)) as pilot:
        await shows(pilot, "✗ Failed")
        await pilot.press("l")
        await shows(pilot, "attempt 1 of 1")
        await shows(pilot, "1 line")
        await retry(api, node, job_id, "second")
        await shows(pilot, "attempt 1 of 2  ✗ exit 3  n1  > newer attempt")
        assert "second" not in screen(app)
        await pilot.press("f")
        await shows(pilot, "second")
        await shows(pilot, "attempt 2 of 2")
        await retry(api, node, job_id, "third")
        await shows(pilot, "third")
        await shows(pilot, "attempt 3 of 3")


async def test_a_log_of_an_older_attempt_stays_there(api: Api) -> None:
    node, job_id = await failed(api)
    await retry(api, node, job_id, "second")
    app = app_for(api.url, job=job_id)
    async with app.run_test(size=(120, 30)) as pilot:
        await shows(pilot, "█ Completed")
        await pilot.press("l")
        await shows(pilot, "attempt 2 of 2")
        await pilot.press("less_than_sign")
        await shows(pilot, "attempt 1 of 2")
        await shows(pilot, "first")
        await pilot.press("f")
        page = app.screen
        assert isinstance(page, LogPage)
        await wait_for(pilot, lambda: page.log_view.is_following, "it follows")
        await retry(api, node, job_id, "third")
        await shows(pilot, "attempt 1 of 3")
        assert "> newer attempt" in screen(app)
        assert "third" not in screen(app)
        await pilot.press("greater_than_sign", "greater_than_sign")
        await shows(pilot, "third")


async def test_a_log_asks_for_its_partition_only_when_its_job_changed(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_source, "SOONEST", 0.0)
    node, job_id = await failed(api)
    app = app_for(api.url)
    async with app.run_test(size=(120, 30)) as pilot:
        await shows(pilot, "✗1")
        paths = asked(app)

        def looks() -> int:
            return len([path for path in paths if path.endswith("/partitions/0")])

        app.open("log", Focus(job_id=job_id, job_name="etl", partition=0))
        await shows(pilot, "1 line")
        await wait_for(pilot, lambda: looks() == 2, "before and after it was read")
        other = await api.submit("other", count=1)
        await wait_for(pilot, lambda: other in app.overview.lines, "another job is told of")
        await pilot.pause()
        assert looks() == 2
        await retry(api, node, job_id, "second")
        await shows(pilot, "attempt 1 of 2")
        assert looks() > 2


async def test_an_attempt_that_there_is_not_is_told_with_the_newest(api: Api) -> None:
    node, job_id = await failed(api)
    await retry(api, node, job_id, "second")
    app = app_for(api.url, job=job_id)
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        await shows(pilot, "etl")
        await pilot.press("colon", *"logs 0.9", "enter")
        await shows(pilot, "attempt 2 of 2")
        await shows(pilot, "there is no attempt 9, the newest is 2")
        assert "second" in screen(app)


async def test_an_error_does_not_touch_the_count_of_lines(api: Api) -> None:
    _, job_id = await failed(api)
    app = app_for(api.url, job=job_id)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "etl")
        await pilot.press("colon", *"logs 7.1", "enter")
        await shows(pilot, "0 lines")
        await wait_for(pilot, lambda: "reading" not in screen(app), "it is told")
        assert re.search(r"\S  +0 lines", screen(app)), screen(app)
