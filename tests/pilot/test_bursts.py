"""Keys that arrive together, as on a slow line or from a paste: each of them finds what the one before it has done."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.events import Key, Paste
from textual.pilot import Pilot
from textual.widgets import Input

from orchestrator.contract.execution import Cause
from orchestrator.contract.job import ResourcesConfig
from tests.helpers.server import JOBS, Agent, Api
from tests.helpers.terminal import app_for, shows, wait_for
from tui.app import ShoalApp
from tui.screens.acting import ActDialog
from tui.screens.compose import ComposePage
from tui.screens.jobs import JobsPage

SIZE = (120, 40)


def burst(app: ShoalApp, *keys: str) -> None:
    """All at once, as the driver gives them on when they were read together."""
    for key in keys:
        app.post_message(Key(key, key if len(key) == 1 else None))


async def value(pilot: Pilot[int], selector: str, text: str) -> None:
    field = pilot.app.screen.query_one(selector, Input)
    await wait_for(pilot, lambda: field.value == text, f"{selector} is {text!r}, not {field.value!r}")


@pytest.mark.parametrize("onward", [("tab",), ("down",), ("down", "down", "up"), ("enter", "tab")])
async def test_what_is_typed_right_behind_a_move_goes_into_the_new_field(
    api: Api, tmp_path: Path, onward: Sequence[str]
) -> None:
    app = app_for(api.url, home=tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "No nodes yet")
        await pilot.press("c")
        await shows(pilot, "hello")
        assert isinstance(app.screen, ComposePage)
        name, *_ = fields = [one for one in app.screen.query(Input) if one.parent is not None and one.parent.display]
        before = fields[1].value
        burst(app, "end", "x", *onward, "end", "y", "z")
        await value(pilot, f"#{name.id}", "hellox")
        await value(pilot, f"#{fields[1].id}", before + "yz")


async def test_a_paste_behind_a_tab_goes_into_the_new_field(api: Api, tmp_path: Path) -> None:
    app = app_for(api.url, home=tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "No nodes yet")
        await pilot.press("c")
        await shows(pilot, "hello")
        second = [one for one in app.screen.query(Input) if one.parent is not None and one.parent.display][1]
        burst(app, "tab", "end")
        app.post_message(Paste("-more"))
        await wait_for(pilot, lambda: second.value.endswith("-more"), "the paste arrives")
        assert app.screen.query_one("#field-name", Input).value == "hello"


async def test_an_enter_behind_an_arrow_presses_the_button_that_the_arrow_led_to(api: Api) -> None:
    job_id = await api.submit("etl", count=2)
    app = app_for(api.url, job=job_id)
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "2 partitions")
        await pilot.press("x")
        await shows(pilot, "Stop 1 partition")
        await pilot.press("right")
        burst(app, "left", "enter")
        await wait_for(pilot, lambda: not isinstance(app.screen, ActDialog), "it closes")
        assert "Stopped" not in (await api.get(f"{JOBS}/{job_id}/partitions"))["Summary"]


async def test_a_retry_typed_in_one_burst_has_all_that_was_typed(api: Api) -> None:
    agent = Agent(api)
    job_id = await api.submit("etl", count=1, Retry={"MaxAttempts": 1})
    await agent.sync()
    agent.end(0, cause=Cause.EXIT, exit_code=1)
    await agent.sync()
    app = app_for(api.url, job=job_id)
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "Failed")
        await pilot.press("r")
        await shows(pilot, "Retry 1 partition")
        burst(app, *["shift+tab"] * 4, *"64mb", "tab", *"1.5", *["tab"] * 4, "enter")
        await wait_for(pilot, lambda: not isinstance(app.screen, ActDialog), "it closes")
    again = next(one for one in (await agent.sync()).assignments if one.attempt > 1)
    assert again.resources == ResourcesConfig(memory="64mb", cpu="1.5")


async def test_a_dialog_takes_what_is_typed_behind_the_key_that_opens_it(api: Api) -> None:
    await api.submit("etl", count=3)
    app = app_for(api.url)
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "etl")
        burst(app, "x", "escape", "slash", "e", "t", "l")
        await value(pilot, "#typed", "etl")
        assert isinstance(app.screen, JobsPage)
