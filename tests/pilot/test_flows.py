"""What an operator does, key by key, against the real orchestrator with a node that plays its part."""

from orchestrator.contract.agent import LogTail, Stream
from orchestrator.contract.execution import Cause
from tests.helpers.server import JOBS, Agent, Api
from tests.helpers.terminal import app_for, screen, shows, wait_for
from tui.screens.job import JobPage


async def failed_job(api: Api, agent: Agent, *, count: int = 5, bad: int = 3, name: str = "etl") -> str:
    """A job that completed but for one partition, whose log ends with its error."""
    job_id = await api.submit(name, count=count, Retry={"MaxAttempts": 1})
    await agent.sync()
    for index in range(count):
        if index == bad:
            content = b"INFO begin\nINFO row 1\nValueError: bad date\n"
            tail = LogTail(stream=Stream.ERR, offset=0, content=content)
            agent.end(index, exit_code=1, cause=Cause.EXIT, message="ValueError: bad date", tails=(tail,))
        else:
            agent.end(index)
    await agent.sync()
    await api.until(f"{JOBS}/{job_id}", lambda answer: answer["Job"]["State"]["StateType"] == "Failed")
    return job_id


async def test_a_retry_says_what_it_will_do_and_does_it_only_when_told(api: Api) -> None:
    agent = Agent(api)
    job_id = await failed_job(api, agent)
    app = app_for(api.url)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "✗1")
        await pilot.press("enter")
        await shows(pilot, "last error")
        await pilot.press("r")
        await shows(pilot, "Retry 1 partition of etl")
        assert "target: partition 3  now: 1 failed" in screen(app)
        assert app.focused is not None
        assert app.focused.id == "cancel"
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(app.screen, JobPage), "cancel closes the dialog")
        assert (await api.get(f"{JOBS}/{job_id}/partitions"))["Summary"] == {"Completed": 4, "Failed": 1}
        await pilot.press("r")
        await shows(pilot, "now: 1 failed")
        await pilot.press("y")
        await wait_for(pilot, lambda: isinstance(app.screen, JobPage), "the dialog closes")
        await agent.sync()
        agent.end(3)
        await agent.sync()
        await shows(pilot, "100%")
        assert "✗" not in screen(app).partition("lens state")[0]


async def test_what_changes_is_seen_without_a_key_and_stop_ends_the_rest(api: Api) -> None:
    agent = Agent(api, cpu=2)
    job_id = await api.submit("etl", count=4)
    app = app_for(api.url, job=job_id)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "waiting 4")
        await agent.sync()
        agent.run(0, 1)
        await agent.sync()
        await shows(pilot, "running 2")
        agent.end(0)
        await agent.sync()
        await shows(pilot, "completed 1")
        await pilot.press("slash", *"waiting", "enter")
        await shows(pilot, "match")
        await pilot.press("asterisk")
        await shows(pilot, "marked")
        await pilot.press("x")
        await shows(pilot, "marked partition")
        await pilot.press("escape")


async def test_durations_are_a_lens_and_columns_of_the_table(api: Api) -> None:
    job_id = await failed_job(api, Agent(api))
    app = app_for(api.url, job=job_id)
    async with app.run_test(size=(140, 40)) as pilot:
        await shows(pilot, "last error")
        await pilot.press("4")
        await shows(pilot, "lens duration · median")
        await pilot.press("t")
        await shows(pilot, "STARTED")
        page = app.screen
        assert isinstance(page, JobPage)
        await wait_for(pilot, lambda: page.model.begun and page.model.begun[0], "the start of partition 0 is known")
