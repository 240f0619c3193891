"""A job is recorded from the real orchestrator, and the recording shows the same again at every moment of it."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from orchestrator.client import OrchestratorClient
from orchestrator.contract.execution import Cause
from tests.helpers.fake_api import ordinary
from tests.helpers.server import Agent, Api, orchestrator
from tests.helpers.terminal import app_for, quiet, screen, shows, wait_for
from tui.app import ShoalApp
from tui.opening import RecordingApp
from tui.options import Options
from tui.recording import Header, Recorder, RecordingError, load
from tui.replay import ReplayApp, open_recording
from tui.screens.job import JobPage
from tui.settings import Settings


@pytest.fixture
async def recording(tmp_path: Path) -> Path:
    path = tmp_path / "etl.rec"
    async with orchestrator(tmp_path / "data") as url:
        api = Api(url)
        agent = Agent(api)
        job_id = await api.submit("etl", count=6, Retry={"MaxAttempts": 1})
        async with OrchestratorClient(url) as client:
            recorder = asyncio.ensure_future(Recorder(client, job_id, path).run())
            await until(lambda: path.exists() and b"Grid" in path.read_bytes())
            await agent.sync()
            for index in range(6):
                if index == 4:
                    agent.end(index, exit_code=1, cause=Cause.EXIT, message="bad date")
                else:
                    agent.end(index)
                await agent.sync()
            await until(lambda: b'"JobState":"Failed"' in path.read_bytes())
            await until(lambda: b'"Failures"' in path.read_bytes())
            recorder.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await recorder
        await api.http.aclose()
    return path


async def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


def app_of(path: Path) -> ReplayApp:
    options = Options(settings=Settings(url="http://x", home=path.parent), replay=path, colours="truecolor")
    app = open_recording(options)
    app.player.is_playing = False
    return app


async def test_a_recording_begins_and_ends_as_the_job_did_and_time_goes_both_ways(recording: Path) -> None:
    app = app_of(recording)
    async with app.run_test(size=(110, 30)) as pilot:
        await shows(pilot, "waiting 6")
        await pilot.press("right_curly_bracket")
        await shows(pilot, "completed 5")
        await shows(pilot, "failed 1")
        await pilot.press("left_curly_bracket")
        await shows(pilot, "waiting 6")
        await pilot.press("greater_than_sign")
        await wait_for(pilot, lambda: "waiting 6" not in screen(app), "a step on")
        assert "REPLAY" in screen(app)


async def test_a_replay_has_no_key_that_acts(recording: Path) -> None:
    app = app_of(recording)
    async with app.run_test(size=(140, 30)) as pilot:
        await pilot.press("right_curly_bracket")
        await shows(pilot, "failed 1")
        await pilot.press("r")
        await pilot.pause(0.2)
        assert "Retry" not in screen(app)
        await pilot.press("E")
        await shows(pilot, "1 failure group")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("g", "l"), "a recording holds no logs"),
        (("l",), "a recording holds no logs"),
        (("v",), "a recording holds no events"),
        (("g", "v"), "a recording holds no events"),
        (("W",), "a recording holds no reasons"),
        (("enter",), "counted, but not kept"),
        (("colon", *"find", "space", *"bad", "enter"), "a recording does not hold what input"),
    ],
    ids=["logs", "log", "events", "cluster-events", "why", "partition", "find"],
)
async def test_what_a_recording_does_not_hold_is_said(recording: Path, keys: tuple[str, ...], said: str) -> None:
    app = app_of(recording)
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.press("right_curly_bracket")
        await shows(pilot, "failed 1")
        await pilot.press(*keys)
        await shows(pilot, said)
        assert "REPLAY" in screen(app)
        assert "offline" not in screen(app)
        await pilot.press("escape")
        await shows(pilot, "failed 1")


async def test_errors_of_a_replay_are_those_of_the_moment(recording: Path) -> None:
    app = app_of(recording)
    async with app.run_test(size=(120, 30)) as pilot:
        await shows(pilot, "waiting 6")
        await pilot.press("E")
        await shows(pilot, "nothing failed")
        assert " 0 failed" in screen(app)
        for _ in range(2):
            await pilot.press("right_curly_bracket")
            await shows(pilot, "bad date")
            await shows(pilot, " 1 failed")
            await pilot.press("left_curly_bracket")
            await shows(pilot, "nothing failed")
            await shows(pilot, " 0 failed")


async def test_where_something_failed_is_never_said_to_be_nothing(recording: Path) -> None:
    app = app_of(recording)
    failed = next(entry.failures for entry in app.player.entries if entry.failures and entry.failures.items)
    app.player.entries = [entry for entry in app.player.entries if entry.failures is not failed]
    app.player.times = [entry.time for entry in app.player.entries]
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.press("right_curly_bracket", "E")
        await shows(pilot, " 1 failed")
        await shows(pilot, "what failed is not known yet")
        app.player.failures = failed
        await shows(pilot, "bad date")


def test_what_failed_is_recorded_no_later_than_that_it_failed(recording: Path) -> None:
    entries = load(recording)[1]
    told = next(at for at, entry in enumerate(entries) if entry.frame and (entry.frame.summary or {}).get("Failed"))
    assert any(entry.failures and entry.failures.items for entry in entries[:told])


async def test_at_goes_to_a_time_and_says_what_it_takes(recording: Path) -> None:
    app = app_of(recording)
    async with app.run_test(size=(140, 30)) as pilot:
        await shows(pilot, "waiting 6")
        await pilot.press("colon", *"at noon", "enter")
        await shows(pilot, "allowed: a time of day like 12:40")


def test_what_is_no_recording_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for content, reason in (
        (b"hello\n", "is no recording"),
        (msgspec.json.encode(Header(kind="shoal recording", version=99)) + b"\n", "version 99"),
        (msgspec.json.encode(Header(kind="shoal recording", version=1)) + b"\n", "nothing was recorded"),
        (msgspec.json.encode(Header(kind="shoal recording", version=1)) + b"\n{}\n{}\n", "line 2"),
    ):
        path.write_bytes(content)
        with pytest.raises(RecordingError, match=reason):
            load(path)
    with pytest.raises(RecordingError, match="no such file"):
        load(tmp_path / "none")


def test_a_recording_that_was_cut_off_is_good_up_to_there(recording: Path) -> None:
    content = recording.read_bytes()
    whole = len(load(recording)[1])
    recording.write_bytes(content[: -len(content.rstrip(b"\n").rsplit(b"\n", 1)[1]) // 2 - 1])
    assert 0 < len(load(recording)[1]) < whole


async def test_replay_in_the_command_bar_plays_in_this_terminal_and_comes_back(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played: list[list[str]] = []
    monkeypatch.setattr("tui.commands.subprocess.run", lambda words, **_: played.append(words))
    monkeypatch.setattr(ShoalApp, "suspend", lambda _: contextlib.nullcontext())
    monkeypatch.chdir(recording.parent)
    app = app_for(quiet(ordinary()))
    async with app.run_test(size=(140, 30)) as pilot:
        await shows(pilot, "1 of 1 jobs")
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(app.screen, JobPage), "the job is open")
        await pilot.press("colon", *"rep", "right", "enter")
        await shows(pilot, "replay: which recording")
        await pilot.press("escape", "colon", *"replay e", "right", "enter")
        await wait_for(pilot, lambda: played, "it is played")
        assert played[0][1:6] == ["-m", "tui", "tui", "--replay", "etl.rec"], "completed from its first letter"
        assert isinstance(app.screen, JobPage)


async def test_replay_in_the_command_bar_says_what_is_wrong_with_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    header = msgspec.json.encode(Header(kind="shoal recording", version=9))
    (tmp_path / "new").write_bytes(header + b"\n")
    (tmp_path / "other").write_bytes(b"hello")
    (tmp_path / "cut").write_bytes(header[:20])
    app = app_for(quiet(ordinary()))
    async with app.run_test(size=(140, 30)) as pilot:
        await shows(pilot, "1 of 1 jobs")
        for name, reason in (
            ("none", "none: no such file"),
            ("new", "found version 9 of"),
            ("other", "other is no recording"),
            ("cut", "cut is no recording"),
        ):
            await pilot.press("colon", *f"replay {name}", "enter")
            await shows(pilot, reason)
            await pilot.press("escape")


async def test_where_there_is_no_terminal_to_hand_over_the_command_is_told(recording: Path) -> None:
    app = app_for(quiet(ordinary()))
    async with app.run_test(size=(140, 30), notifications=True) as pilot:
        await shows(pilot, "1 of 1 jobs")
        app.run_command(f"replay {recording}")
        await shows(pilot, "shoal tui --replay")


async def test_without_a_job_the_first_one_that_is_opened_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "first.rec"
    app = app_for(quiet(ordinary()), kind=RecordingApp, record=path)
    async with app.run_test(size=(140, 30)) as pilot:
        await shows(pilot, "records the job opened first")
        await shows(pilot, "1 of 1 jobs")
        await pilot.press("enter")
        await shows(pilot, "REC x [/y]")
        await wait_for(pilot, lambda: path.exists() and len(path.read_bytes().splitlines()) > 2, "it is recorded")
    assert any(entry.grid for entry in load(path)[1])


async def test_a_recording_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    app = app_for(quiet(ordinary()), kind=RecordingApp, record=tmp_path / "none" / "x.rec", job="fish")
    async with app.run_test(size=(140, 30), notifications=True) as pilot:
        await shows(pilot, "not recording")
        await shows(pilot, "No such file")
