"""Composing by key: what was typed and refused stays, is counted, and is never submitted as what was there before."""

import gc
import warnings
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input

from tests.helpers.server import JOBS, Api
from tests.helpers.terminal import app_for, screen, shows, wait_for
from tui.app import ShoalApp
from tui.screens.compose import ComposePage
from tui.screens.drafts import Drafts

UNCLOSED = 'environment: found "A=\'b" (a quote is not closed), allowed: NAME=value, with quotes as in a shell'
SIZE = (120, 30)


async def composing(app: ShoalApp, pilot: Pilot[int]) -> ComposePage:
    await shows(pilot, "No nodes yet")
    await pilot.press("c")
    await shows(pilot, "hello")
    assert isinstance(app.screen, ComposePage)
    return app.screen


async def type_into(page: ComposePage, pilot: Pilot[int], field: str, text: str) -> None:
    """Instead of what is there."""
    line = page.query_one(f"#field-{field}", Input)
    line.focus()
    await pilot.press("end", "ctrl+u", *text)
    assert line.value == text


async def test_a_refused_field_stays_refused_whatever_else_is_typed_until_it_is_right(api: Api, tmp_path: Path) -> None:
    app = app_for(api.url, home=tmp_path)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        page = await composing(app, pilot)
        await type_into(page, pilot, "env", "A='b")
        await type_into(page, pilot, "memory", "64mb")
        await shows(pilot, UNCLOSED)
        await shows(pilot, "1 to mend")
        await type_into(page, pilot, "memory", "plenty")
        await shows(pilot, "2 to mend")
        assert page.query_one("#problems").text.index("environment") < page.query_one("#problems").text.index("Memory")  # type: ignore[attr-defined]
        await type_into(page, pilot, "memory", "64mb")
        await pilot.press("f4")
        await shows(pilot, "REFUSED")
        assert "1 to mend" in screen(app)
        await pilot.press("right", "enter")
        await shows(pilot, "something to mend first")
        await pilot.press("escape")
        await shows(pilot, "A='b")
        await type_into(page, pilot, "env", "A='b'")
        await shows(pilot, "new")
        assert "to mend" not in screen(app).splitlines()[1]
        await pilot.press("f4")
        await shows(pilot, "NEW job hello")
        await pilot.press("right", "enter")
        await wait_for(pilot, lambda: not isinstance(app.screen, ComposePage), "submitted")
    (job,) = (await api.get(JOBS))["Items"]
    assert job["Tasks"][0]["Env"] == {"A": "b"}


async def test_a_refused_text_outlives_the_yaml_another_engine_and_leaving(api: Api, tmp_path: Path) -> None:
    app = app_for(api.url, home=tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        page = await composing(app, pilot)
        await type_into(page, pilot, "env", "A='b")
        await pilot.press("f2")
        await shows(pilot, "Name: hello")
        assert "1 to mend" in screen(app)
        await pilot.press("f2")
        await shows(pilot, "A='b")
        await type_into(page, pilot, "engine", "docker")
        await shows(pilot, "image")
        assert "A='b" in screen(app)
        await pilot.press("escape")
        await wait_for(pilot, lambda: not isinstance(app.screen, ComposePage), "left")
        await pilot.press("c")
        await shows(pilot, UNCLOSED)
        assert "environment   A='b" in screen(app)


async def test_the_yaml_has_the_last_word_on_a_refused_field(api: Api, tmp_path: Path) -> None:
    app = app_for(api.url, home=tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        page = await composing(app, pilot)
        await type_into(page, pilot, "env", "A='b")
        await pilot.press("f2")
        page.query_one("#yaml").text = page.composed.text.replace("A: ''", "A: c")  # type: ignore[attr-defined]
        await shows(pilot, "  new")
        await pilot.press("f2")
        await shows(pilot, "A=c")
        assert "to mend" not in screen(app)


async def test_only_fields_that_the_engine_has_are_seen_and_reached(api: Api, tmp_path: Path) -> None:
    app = app_for(api.url, home=tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        page = await composing(app, pilot)
        assert "image" not in screen(app)
        page.query_one("#field-engine").focus()
        await pilot.press("tab")
        assert page.focused is page.query_one("#field-command")
        await type_into(page, pilot, "engine", "docker")
        await shows(pilot, "image")
        await pilot.press("tab")
        assert page.focused is page.query_one("#field-image")
        await pilot.press(*"etl:4")
        await shows(pilot, "  new")
        await type_into(page, pilot, "engine", "process")
        await wait_for(pilot, lambda: "image" not in screen(app), "no image")
        await shows(pilot, "  new")


async def test_a_text_that_cannot_be_read_is_not_replaced_by_its_form(api: Api, tmp_path: Path) -> None:
    app = app_for(api.url, home=tmp_path)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        page = await composing(app, pilot)
        await pilot.press("f2")
        broken = page.composed.text + "x: [\n"
        page.query_one("#yaml").text = broken  # type: ignore[attr-defined]
        await shows(pilot, "1 to mend")
        await pilot.press("f2")
        await shows(pilot, "mend it here first")
        assert page.view == "yaml"
        await pilot.press("escape", "escape")
        await wait_for(pilot, lambda: not isinstance(app.screen, ComposePage), "left")
        await pilot.press("c")
        await shows(pilot, "x: [")
        assert app.screen.composed.text == broken  # type: ignore[attr-defined]


async def test_leaving_before_the_plan_was_asked_for_leaves_nothing_unawaited(api: Api, tmp_path: Path) -> None:
    app = app_for(api.url, home=tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with app.run_test(size=SIZE) as pilot:
            page = await composing(app, pilot)
            page.action_plan()
            page.action_plan()
            app.go_back()
            await shows(pilot, "No nodes yet")
        del app, pilot, page
        gc.collect()
    assert not [str(one.message) for one in caught if "never awaited" in str(one.message)]


async def test_a_template_typed_into_is_a_draft_of_its_own_beside_the_earlier_one(api: Api, tmp_path: Path) -> None:
    app = app_for(api.url, home=tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        page = await composing(app, pilot)
        await type_into(page, pilot, "name", "mine")
        await pilot.press("f3")
        await shows(pilot, "Begin with")
        assert "draft of" in screen(app), "what was typed just now is kept already"
        await pilot.press("down", "enter")
        await wait_for(pilot, lambda: app.screen is page, "chosen")
        await type_into(page, pilot, "name", "other")
        await pilot.press("escape")
        await wait_for(pilot, lambda: app.screen is not page, "left")
        await pilot.press("c")
        await shows(pilot, "other")
        await pilot.press("f3")
        await shows(pilot, "Begin with")
        await pilot.press("down", "enter")
        await shows(pilot, "mine")
        await pilot.press("f3")
        await shows(pilot, "new-2")
    texts = {draft.name: draft.text for draft in Drafts(tmp_path, app.options.profile).all()}
    assert sorted(texts) == ["new", "new-2"]
    assert "Name: mine" in texts["new"]
    assert "Name: other" in texts["new-2"]
