"""A log too long to be read at once: its end is there first, what is before it comes after."""

import asyncio
import base64
from pathlib import Path

import httpx
import pytest

from tests.helpers.fake_api import Answer, FakeApi, attempt, detail, ordinary
from tests.helpers.terminal import app_for, quiet, screen, shows, wait_for
from tui import logfeed
from tui.places import Focus
from tui.screens.log import LogPage

LINES = [b"line %05d" % number for number in range(5000)]
LOG = b"\n".join([*LINES[:100], b"ERROR early", *LINES[100:]]) + b"\n"


class Gated(FakeApi):
    """What is before the last screens of a log is given only once the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.routes = quiet(ordinary()).routes
        self.on("GET", ".*/partitions/3$", detail(3, attempt(1, "completed")))
        self.on("GET", ".*/attempts/1/log", self.log)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """As any other."""
        if request.url.params.get("offset") == "0":
            await self.gate.wait()
        return await super().__call__(request)

    def log(self, request: httpx.Request) -> Answer:
        """A piece of the one stream that has anything."""
        content = LOG if request.url.params["stream"] == "out" else b""
        offset, limit = (int(request.url.params[name]) for name in ("offset", "limit"))
        offset = max(0, len(content) + offset) if offset < 0 else offset
        end = min(len(content), offset + limit)
        data = base64.b64encode(content[offset:end]).decode()
        is_end = end == len(content)
        return {"Data": data, "Offset": offset, "NextOffset": end, "Size": len(content), "End": is_end, "Stamps": []}


async def test_the_end_of_a_long_log_is_read_before_the_rest_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(logfeed, "LAST", 4_000)
    monkeypatch.chdir(tmp_path)
    api = Gated()
    app = app_for(api)
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        await shows(pilot, "1 of 1 jobs")
        app.open("log", Focus(job_id="j-1", job_name="fish", partition=3))
        await shows(pilot, "line 04999")
        await shows(pilot, "before this to come")
        page = app.screen
        assert isinstance(page, LogPage)
        await pilot.press("s")
        await shows(pilot, "still to come: again in a moment")
        await pilot.press("slash", *"early", "enter")
        await shows(pilot, "none of the last lines contains 'early'")
        await pilot.press("escape", "up", "up")
        await wait_for(pilot, lambda: page.log_view.current().content == b"line 04997", "the cursor moved")  # type: ignore[union-attr]
        before = [line[:60] for line in screen(app).splitlines()[2:-1]]
        api.gate.set()
        await shows(pilot, "5,001 lines")
        assert page.log_view.current().content == b"line 04997"  # type: ignore[union-attr]
        assert [line[:60] for line in screen(app).splitlines()[2:-1]] == before, "nothing that is seen has moved"
        await pilot.press("home")
        await shows(pilot, "line 00000")
        await pilot.press("s")
        await shows(pilot, "5,001 lines written")


async def test_a_search_finds_what_is_before_the_last_lines_once_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfeed, "LAST", 4_000)
    api = Gated()
    app = app_for(api)
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        await shows(pilot, "1 of 1 jobs")
        app.open("log", Focus(job_id="j-1", job_name="fish", partition=3))
        await shows(pilot, "before this to come")
        await pilot.press("slash", *"early", "enter")
        await shows(pilot, "0/0 matches so far")
        api.gate.set()
        await shows(pilot, "1/1 matches  ")
        await shows(pilot, "ERROR early")
