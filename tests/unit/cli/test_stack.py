"""The devstack's processes: started again when they die, taken down together. The children here are tiny programs."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from orchestrator.client import OrchestratorClient
from tests.helpers.cli import Shoal
from tests.helpers.fake_api import FakeApi, ordinary
from tui.cli import stack
from tui.cli.context import Context
from tui.cli.diagnostics import CommandError, ExitCode
from tui.cli.output import Output
from tui.cli.stack import Child, Stack
from tui.settings import Settings

SLEEPER = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0)); print('node_started', flush=True); time.sleep(60)"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "FIRST_PAUSE", 0.05)
    api: FakeApi = ordinary()
    original = OrchestratorClient.__init__

    def connected(self: OrchestratorClient, url: str, *, token: str = "", **_: object) -> None:
        original(self, url, token=token, transport=httpx.MockTransport(api))

    monkeypatch.setattr(OrchestratorClient, "__init__", connected)


def child(name: str, tmp_path: Path, code: str = SLEEPER) -> Child:
    return Child(name, [sys.executable, "-c", code], tmp_path / f"{name}.log")


def stack_of(tmp_path: Path, *children: Child) -> Stack:
    context = Context(Settings(url="http://x", home=tmp_path), Output(), wants_json=False)
    return Stack(context, "http://127.0.0.1:1234", list(children))


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - processes set no event
            await asyncio.sleep(0.02)


def pid_of(one: Child) -> int:
    assert one.process is not None
    return one.process.pid


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_child_that_dies_is_started_again_and_all_go_down_together(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    orchestrator, node = child("orchestrator", tmp_path), child("n1", tmp_path)
    whole = stack_of(tmp_path, orchestrator, node)
    running = asyncio.ensure_future(whole.run())
    await until(lambda: whole.is_ready and node.is_running and orchestrator.is_running)
    first = pid_of(node)
    os.kill(first, signal.SIGKILL)
    await until(lambda: node.is_running and pid_of(node) != first)
    pids = [pid_of(orchestrator), pid_of(node)]
    await until(lambda: b"node_started" in node.said())
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == ExitCode.OK
    assert not any(map(is_alive, pids))
    told = capfd.readouterr()
    assert told.out == "ready http://127.0.0.1:1234\n"
    assert "n1 ended with SIGKILL" in told.err


async def test_an_agent_is_not_told_to_end_before_it_knows_what_it_left(tmp_path: Path) -> None:
    slow = (
        "import signal, sys, time; time.sleep(0.7); "
        "signal.signal(15, lambda *_: (print('cleaned', flush=True), sys.exit(0))); print('node_started', flush=True); "
        "time.sleep(60)"
    )
    orchestrator, node, dead = child("orchestrator", tmp_path), child("n1", tmp_path, slow), child("n2", tmp_path, slow)
    whole = stack_of(tmp_path, orchestrator, node, dead)
    whole.is_ready = True
    await orchestrator.start()
    await node.start()
    await whole._take_down()
    assert b"cleaned" in node.said()
    assert b"cleaned" in dead.said()


async def test_a_child_that_cannot_start_ends_all_with_its_last_words(tmp_path: Path) -> None:
    orchestrator, node = child("orchestrator", tmp_path), child("n9", tmp_path, "import sys; sys.exit('no disk')")
    whole = stack_of(tmp_path, orchestrator, node)
    with pytest.raises(CommandError, match="n9 ended with exit code 1: no disk") as refused:
        await whole.run()
    assert refused.value.exit_code == ExitCode.FAILED
    assert node.deaths == 3
    assert not is_alive(pid_of(orchestrator))


async def test_wrong_flags_of_a_child_are_not_tried_again(tmp_path: Path) -> None:
    code = "import sys; print('engines: found x', file=sys.stderr); sys.exit(2)"
    whole = stack_of(tmp_path, child("orchestrator", tmp_path), child("n9", tmp_path, code))
    with pytest.raises(CommandError, match="engines: found x") as refused:
        await whole.run()
    assert refused.value.exit_code == ExitCode.USAGE
    assert whole.children[1].deaths == 1


def test_a_port_that_is_taken_is_told_at_once(shoal: Shoal) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = shoal("devstack", "--port", str(port))
    assert (done.code, done.out) == (4, "")
    assert f"port {port} of 127.0.0.1 cannot be used" in done.err


@pytest.mark.parametrize("flag", ["--api-port=7", "--api-host=h", "--profile=eu"])
def test_where_to_go_is_not_for_who_starts_its_own(shoal: Shoal, flag: str) -> None:
    for words in (("devstack", flag), (flag, "devstack")):
        refused = shoal(*words)
        assert (refused.code, refused.out) == (2, "")
        assert flag.partition("=")[0] in refused.err
        assert "--port names its port" in refused.err


def test_what_stands_before_a_program_of_its_own_is_handed_on(shoal: Shoal, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[list[str]] = []

    def become(_: str, words: list[str]) -> None:
        begun.append(words[1:])
        raise SystemExit

    monkeypatch.setattr(os, "execv", become)
    for words in (("--api-port", "7", "tui", "--read-only"), ("--profile=eu", "serve")):
        with pytest.raises(SystemExit):
            shoal(*words)
    assert begun == [["-m", "tui", "tui", "--api-port=7", "--read-only"], ["-m", "orchestrator", "--profile=eu"]]
