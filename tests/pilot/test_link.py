"""No server, a server that comes and goes, one that refuses: the app stays, says so, and goes on."""

import httpx
import pytest
from textual.driver import Driver
from textual.events import CursorPosition

from orchestrator.contract.api import JobList
from orchestrator.contract.job import JobStateType
from tests.helpers.fake_api import JOBS, FakeApi, job_of, ordinary
from tests.helpers.terminal import app_for, quiet, screen, shows, wait_for
from tui.app import WIDE_BLOCK
from tui.screens.job import JobPage
from tui.screens.jobs import JobsPage

GONE = httpx.ConnectError("All connection attempts failed")


async def test_leaving_while_no_server_ever_answered_is_exit_5() -> None:
    api = FakeApi()
    api.on("GET", ".*", GONE)
    app = app_for(api)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "connection refused")
        await pilot.press("q")
        await wait_for(pilot, lambda: not app.is_running or app.return_code is not None, "it ends")
    assert app.return_value == 5


async def test_as_soon_as_something_answers_the_list_is_there() -> None:
    api = quiet(ordinary())
    jobs = JobList(next_token="", items=(job_of(5, JobStateType.FAILED),))
    api.on("GET", JOBS, GONE, GONE, jobs)
    app = app_for(api)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "No orchestrator yet")
        await pilot.press("R")
        await shows(pilot, "Failed")
        assert "● live" in screen(app)


async def test_a_lost_connection_keeps_the_picture_greys_what_acts_and_ends_nothing() -> None:
    api = quiet(ordinary())
    app = app_for(api, job="x")
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "last error")
        api.on("GET", ".*", GONE)
        await wait_for(pilot, lambda: app.link.state.value == "offline", "it notices")
        await shows(pilot, "✕ offline")
        assert "███✗█" in screen(app)
        assert app.check_action("quit", ())
        page = app.screen
        assert isinstance(page, JobPage)
        assert page.check_action("retry", ()) is None
        api.routes.pop(0)
        await pilot.press("R")
        await shows(pilot, "● ")


async def test_read_only_hides_what_acts() -> None:
    app = app_for(quiet(ordinary()), job="x", read_only=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "last error")
        assert " ro" in screen(app).splitlines()[0]
        assert "retry" not in screen(app).splitlines()[-1]
        before = app.screen
        await pilot.press("r", "x")
        await pilot.pause()
        assert app.screen is before


@pytest.mark.parametrize(("nodes", "text"), [(True, "No jobs yet"), (False, "shoal node run --orchestrator")])
async def test_an_empty_cluster_says_what_comes_first(*, nodes: bool, text: str) -> None:
    api = quiet(ordinary())
    api.on("GET", JOBS, {"NextToken": "", "Items": []})
    if not nodes:
        api.on("GET", ".*/nodes", {"NextToken": "", "Nodes": []})
    app = app_for(api)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, text)


async def test_esc_and_a_key_right_behind_it_are_both() -> None:
    app = app_for(quiet(ordinary()))
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "4/5")
        await pilot.press("enter")
        await shows(pilot, "last error")
        await pilot.press("alt+O")
        await shows(pilot, "sort: newest")


async def test_the_time_that_another_program_had_the_terminal_is_not_the_terminals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = app_for(quiet(ordinary()))
    now = 100.0
    monkeypatch.setattr(app, "monotonic", lambda: now)
    monkeypatch.setattr(Driver, "can_suspend", True)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "4/5")
        page = app.screen
        assert isinstance(page, JobsPage)
        app.terminal.ask(now)
        app.terminal.answered(now)
        app.terminal.ask(now)
        now += 0.24
        page.show_header()
        await shows(pilot, "term 240 ms")
        with app.suspend():
            now += 60
        page.show_header()
        await pilot.pause()
        assert "term" not in screen(app).splitlines()[0]
        app.post_message(CursorPosition(1, 1))
        await wait_for(pilot, lambda: app.terminal.ask(now), "the answer that came late is taken for none")
        page.show_header()
        await pilot.pause()
        assert "term" not in screen(app).splitlines()[0]


@pytest.mark.parametrize("column", [1, 2])
async def test_the_width_of_a_block_is_told_by_the_answer_about_it_and_by_no_other(
    monkeypatch: pytest.MonkeyPatch, column: int
) -> None:
    app = app_for(quiet(ordinary()))
    written: list[str] = []
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "4/5")
        monkeypatch.setattr(type(app), "is_headless", False)
        monkeypatch.setattr(app._driver, "write", written.append)
        app.post_display_hook()
        assert not [text for text in written if "\x1b[6n" in text], "a picture came before the question about the block"
        app._ask_terminal("block", "gone")
        app.on_cursor_position(CursorPosition(column, 0))
        app.post_display_hook()
        app.on_cursor_position(CursorPosition(2, 0))
        assert app.options.is_ascii is (column == WIDE_BLOCK)
    assert [text for text in written if "\x1b[6n" in text][:2] == ["block\x1b[6ngone", "\x1b[6n"]
