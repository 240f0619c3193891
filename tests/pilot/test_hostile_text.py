"""Names, errors and log lines that would like to be markup, links or control sequences: nothing is obeyed, nothing shifts."""

import base64

import pytest

from orchestrator.contract.api import JobList
from orchestrator.contract.job import JobStateType
from tests.helpers.fake_api import JOBS, attempt, detail, job_of, ordinary
from tests.helpers.terminal import app_for, quiet, screen, shows, strips
from tui.app import ShoalApp

NAME = "x [/y] [@click=app.quit]z \x1b[31mred\x1b]0;title\x07 日本語 e\u0301 שלום\u202e"
SCREENS = {
    "jobs": (),
    "job": ("enter",),
    "table": ("enter", "t"),
    "partition": ("enter", "enter"),
    "log": ("enter", "l"),
    "why": ("enter", "W"),
    "retry": ("enter", "r"),
    "help": ("enter", "question_mark"),
    "palette": ("ctrl+p",),
    "command": ("colon",),
    "go": ("enter", "g"),
}


@pytest.mark.parametrize("keys", SCREENS.values(), ids=SCREENS)
@pytest.mark.parametrize("is_ascii", [False, True])
async def test_hostile_text_is_only_text(keys: tuple[str, ...], *, is_ascii: bool) -> None:
    api = quiet(ordinary())
    api.on("GET", JOBS, JobList(next_token="", items=(job_of(5, JobStateType.FAILED, NAME, name=NAME),)))
    api.on("GET", f"{JOBS}/[^/]+/partitions/\\d+", detail(3, attempt(1, "failed", cause="exit", message=NAME)))
    content = base64.b64encode(f"{NAME}\nerror {NAME}\n".encode()).decode()
    size = len(base64.b64decode(content))
    log = {"Data": content, "Offset": 0, "NextOffset": size, "Size": size, "End": True, "Stamps": []}
    api.on("GET", ".*/log", log)
    explained = {"Reason": NAME, "Count": 1, "Partitions": "3", "Nodes": [{"NodeID": NAME, "Reason": NAME}]}
    api.on("GET", ".*/explain", {"NextToken": "", "Items": [explained]})
    app = app_for(api, is_ascii=is_ascii)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await shows(pilot, "[/y]")
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.3)
        app.tell(NAME, severity="error")
        await pilot.pause(0.1)
        check(app, is_ascii=is_ascii)
        assert app.is_running


def check(app: ShoalApp, *, is_ascii: bool) -> None:
    text = screen(app)
    assert not set(text) & {"\x1b", "\x07", "\u202e", "ש"}
    assert {strip.cell_length for strip in strips(app)} == {120}
    for strip in strips(app):
        assert all("@click" not in (segment.style.meta if segment.style else {}) for segment in strip)
    if is_ascii:
        assert text.isascii(), [character for character in text if not character.isascii()]
