"""The nodes and the failures of a job change on the screen as the cluster's watch tells it, and nothing is asked meanwhile."""

import httpx

from orchestrator.contract.execution import Cause
from tests.helpers.server import Agent, Api
from tests.helpers.terminal import app_for, screen, shows, wait_for
from tui.app import ShoalApp


def asked(app: ShoalApp) -> list[str]:
    """Paths that the app asks for from now on."""
    paths: list[str] = []

    async def note(request: httpx.Request) -> None:
        paths.append(request.url.path)

    app.client.http.event_hooks["request"].append(note)
    return paths


async def test_a_node_shows_what_runs_and_what_failed_there_as_it_happens(api: Api) -> None:
    agent = Agent(api)
    await api.submit("etl", count=4, Retry={"MaxAttempts": 1})
    await agent.sync()
    app = app_for(api.url)
    async with app.run_test(size=(160, 40)) as pilot:
        await shows(pilot, "etl")
        await pilot.press("g", "n")
        await shows(pilot, "4/8")
        await shows(pilot, "○○○○")
        paths = asked(app)
        agent.run(0, 1, 2, 3)
        await agent.sync()
        await shows(pilot, "▶▶▶▶")
        agent.end(0, exit_code=7, cause=Cause.EXIT)
        agent.end(1)
        await agent.sync()
        await shows(pilot, "▶▶█✗")
        words = next(line for line in screen(app).splitlines() if " n1 " in line).split()
        assert words[words.index("▶▶█✗") - 3 : words.index("▶▶█✗") - 1] == ["2", "1"], (
            "running, failed in the last hour"
        )
        assert "nodes" not in "".join(paths)


async def test_how_long_a_drained_node_keeps_what_it_runs_is_told_and_goes_down(api: Api) -> None:
    agent = Agent(api)
    await api.submit("etl", count=2)
    await agent.sync()
    agent.run(0, 1)
    await agent.sync()
    app = app_for(api.url)

    def row(text: str) -> str:
        return next(line for line in screen(app).splitlines() if text in line)

    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "etl")
        await pilot.press("g", "n")
        await shows(pilot, "▶▶")
        await pilot.press("D")
        await shows(pilot, "2 of etl")
        await pilot.press("shift+tab", *"10m", "enter")
        await shows(pilot, "Draining 9m")
        before = row("Draining")
        await pilot.press("enter")
        await shows(pilot, "2 executions running, moved in 9m")
        await pilot.press("escape")
        await shows(pilot, "Draining 9m")
        await wait_for(pilot, lambda: row("Draining").split()[2:4] != before.split()[2:4], "less time is left")
        agent.end(0)
        agent.end(1)
        await agent.sync()
        await shows(pilot, "Drained  ")


async def test_failure_groups_follow_the_job_and_are_asked_for_only_when_it_changed(api: Api) -> None:
    agent = Agent(api)
    await api.submit("etl", count=3, Retry={"MaxAttempts": 1})
    await agent.sync()
    agent.end(0, exit_code=7, cause=Cause.EXIT, message="first")
    await agent.sync()
    app = app_for(api.url)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "✗1")
        await pilot.press("E")
        await shows(pilot, "1 failure group")
        page = app.screen
        paths = asked(app)
        for _ in range(3):
            page.ask()  # type: ignore[attr-defined] # what its clock does
            await pilot.pause()
        assert not [path for path in paths if path.endswith("/failures")]
        agent.end(1, exit_code=8, cause=Cause.EXIT, message="second")
        await agent.sync()
        await shows(pilot, "2 failure groups")
        assert len([path for path in paths if path.endswith("/failures")]) == 1
