"""Hostile names, errors, labels and events on errors, nodes, events, compose, compare and profiles: nothing is obeyed."""

import asyncio
import base64
import functools
from collections.abc import Mapping
from pathlib import Path

import httpx
import msgspec
import pytest

from orchestrator.client import NODES, OrchestratorClient
from orchestrator.contract.api import JobList, NodeList
from orchestrator.contract.execution import Cause
from orchestrator.contract.history import Level
from orchestrator.contract.ids import NodeId
from orchestrator.contract.job import JobStateType
from orchestrator.contract.overview import ClusterEvent, ClusterEvents
from orchestrator.contract.partitions import (
    ActionResult,
    FailureGroup,
    Failures,
    LogMatch,
    LogMatches,
    PartitionInputs,
)
from tests.helpers.fake_api import (
    JOBS,
    Answer,
    FakeApi,
    attempt,
    detail,
    execution_id,
    job_of,
    node_of,
    ordinary,
    row,
)
from tests.helpers.fake_reading import had_inputs, lines_of_all
from tests.helpers.terminal import app_for, quiet, screen, shows, wait_for
from tests.pilot.test_hostile_text import NAME, check
from tests.pilot.test_replay import until
from tui.opening import RecordingApp
from tui.options import Options
from tui.recording import Recorder
from tui.replay import open_recording
from tui.screens import logs_all
from tui.settings import Settings

SCREENS = {
    "errors": ("E",),
    "errors-retry": ("E", "r"),
    "nodes": ("g", "n"),
    "node": ("g", "n", "enter"),
    "drain": ("g", "n", "D"),
    "events": ("v",),
    "cluster-events": ("g", "v"),
    "event": ("g", "v", "enter"),
    "compose": ("C",),
    "compose-yaml": ("C", "f2"),
    "plan": ("C", "f4"),
    "templates": ("C", "f3"),
    "compare": ("enter", "enter", "d"),
    "profiles": ("g", "p"),
    "stop": ("enter", "x"),
    "marked": ("enter", "l", "m"),
    "line": ("enter", "l", "enter"),
    "inputs": ("enter", "enter"),
    "logs": ("enter", "L"),
    "find": ("enter", "colon", *"find", "space", "x", "enter"),
    "filtered": ("slash", *"x [/y]", "enter"),
    "group": ("E", "enter", "5"),
}


REPLAYED = {
    "job": (),
    "table": ("t",),
    "partition": ("enter",),
    "errors": ("E",),
    "group": ("E", "enter", "5"),
    "log": ("l",),
    "logs": ("L",),
    "events": ("v",),
    "why": ("W",),
    "nodes": ("g", "n"),
    "node": ("g", "n", "enter"),
    "jobs": ("escape",),
    "find": ("colon", *"find", "space", *'[/y] ~"', "enter"),
    "at": ("colon", *"at", "space", *"[/y]", "enter"),
}
"""Keys in a replay."""
REFUSED = {"Status": 401, "Code": "Unauthorized", "Message": NAME, "RequestID": "", "Component": ""}
BEGINNINGS: dict[str, Mapping[str, Answer | Exception]] = {
    "nobody": {".*": httpx.ConnectError(NAME)},
    "refused": {".*": httpx.Response(401, json=REFUSED)},
    "broken": {".*": httpx.Response(500, content=NAME.encode())},
    "no nodes": {JOBS: JobList(next_token="", items=()), NODES: NodeList(next_token="", nodes=())},
    "no jobs": {JOBS: JobList(next_token="", items=())},
}
"""What an orchestrator answers at the first start."""


def hostile() -> FakeApi:
    """A cluster where every text is hostile."""
    api = quiet(ordinary())
    job = job_of(5, JobStateType.FAILED, NAME, name=NAME)
    bad = msgspec.structs.replace(row(3, "failed", cause="exit", exit_code=7, message=NAME), node_id=NAME)
    group = FailureGroup(group="g1", cause=Cause.EXIT, exit_code=7, message=NAME, count=1, partitions="3", sample=bad)
    node = node_of(NAME)
    info = msgspec.structs.replace(node.info, labels={NAME: NAME})
    state = msgspec.structs.replace(node.connection_state, last_error=NAME)
    node = msgspec.structs.replace(node, info=info, connection_state=state)
    event = ClusterEvent(
        time="2026-10-14T16:26:40Z",
        type=Level.NODE,
        topic=NAME,
        message=NAME,
        job_name=NAME,
        node_id=NodeId(NAME),
        details={"Hint": NAME},
    )
    api.on("GET", JOBS, JobList(next_token="", items=(job,)))
    api.on("GET", f"{JOBS}/[^/]+", {"Job": msgspec.to_builtins(job), "History": {"NextToken": "", "Items": []}})
    api.on("GET", f"{JOBS}/[^/]+/failures", Failures(next_token="", items=(group,)))
    api.on("GET", f"{JOBS}/[^/]+/partitions/\\d+", detail(3, attempt(1, "failed", cause="exit", message=NAME)))
    api.on("GET", NODES, NodeList(next_token="", nodes=(node,)))
    api.on("GET", "/api/v1/orchestrator/nodes/.+", {"Node": msgspec.to_builtins(node)})
    api.on("GET", "/api/v1/orchestrator/events", ClusterEvents(cursor="1", items=(event,)))
    had = PartitionInputs(next_token="", items=(had_inputs(NAME),))
    api.on("GET", f"{JOBS}/[^/]+/partitions/\\d+/inputs", had)
    taken = ActionResult(count=1, by_state={NAME: 1}, cursor="c0")
    api.on("PUT", f"{JOBS}/[^/]+/partitions/stop", taken)
    line = LogMatch(
        partition=3, attempt=1, execution_id=execution_id(3), stream="stdout", line=1, offset=0, text=f"at {NAME}"
    )
    api.on("GET", f"{JOBS}/[^/]+/logs/search", LogMatches(items=(line,), searched=1, selected=5, cut=NAME))
    content = f"{NAME}\nerror {NAME}\n".encode()
    log = {"Data": base64.b64encode(content).decode(), "Offset": 0, "NextOffset": len(content), "Size": len(content)}
    api.on("GET", ".*/log", log | {"End": True, "Stamps": []})
    return api


@pytest.mark.parametrize("keys", SCREENS.values(), ids=SCREENS)
@pytest.mark.parametrize("is_ascii", [False, True])
async def test_hostile_text_is_only_text(
    keys: tuple[str, ...],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_ascii: bool,
) -> None:
    monkeypatch.setattr(logs_all, "logs", functools.partial(lines_of_all, text=NAME))
    home = tmp_path_factory.mktemp("home")
    (home / "profiles.yaml").write_text("'x [/y] [@click=app.quit]z': {url: 'http://127.0.0.1:9'}\n")
    app = app_for(hostile(), is_ascii=is_ascii, home=home)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await shows(pilot, "[/y]")
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.3)
        await pilot.pause(0.2)
        check(app, is_ascii=is_ascii)
        assert app.is_running


@pytest.mark.parametrize("keys", REPLAYED.values(), ids=REPLAYED)
@pytest.mark.parametrize("is_ascii", [False, True])
async def test_hostile_text_is_only_text_in_a_replay(keys: tuple[str, ...], tmp_path: Path, *, is_ascii: bool) -> None:
    path = tmp_path / "x [y] [@click=app.quit]z.rec"
    async with OrchestratorClient("http://127.0.0.1:1234", transport=httpx.MockTransport(hostile())) as client:
        recorder = asyncio.ensure_future(Recorder(client, "fish", path).run())
        await until(lambda: path.exists() and all(word in path.read_bytes() for word in (b'"Grid"', b'"Nodes"')))
        recorder.cancel()
        await asyncio.gather(recorder, return_exceptions=True)
    settings = Settings(url="http://x", home=tmp_path)
    app = open_recording(Options(settings=settings, replay=path, colours="truecolor", is_ascii=is_ascii))
    app.player.is_playing = False
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await shows(pilot, "Failed")
        await shows(pilot, "[/y]")
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.3)
        check(app, is_ascii=is_ascii)
        assert app.is_running


@pytest.mark.parametrize("answers", BEGINNINGS.values(), ids=BEGINNINGS)
@pytest.mark.parametrize("is_ascii", [False, True])
async def test_hostile_text_is_only_text_at_the_first_start(
    answers: Mapping[str, Answer | Exception], *, is_ascii: bool
) -> None:
    api = hostile()
    for path, answer in answers.items():
        api.on("GET", path, answer)
    app = app_for(api, is_ascii=is_ascii, profile=NAME, source=NAME)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await shows(pilot, "[/y]")
        await wait_for(pilot, lambda: "connecting" not in screen(app), "it was answered")
        await pilot.pause(0.3)
        check(app, is_ascii=is_ascii)
        assert app.is_running


@pytest.mark.parametrize("is_ascii", [False, True])
async def test_hostile_text_is_only_text_while_it_is_recorded(tmp_path: Path, *, is_ascii: bool) -> None:
    app = app_for(hostile(), kind=RecordingApp, is_ascii=is_ascii, record=tmp_path / "none" / "[/y]", profile=NAME)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await shows(pilot, "1 of 1 jobs")
        await pilot.press("enter")
        await shows(pilot, "not recording")
        check(app, is_ascii=is_ascii)
        assert app.is_running
