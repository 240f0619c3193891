"""An agent that is killed and started again adopts its work or reports it lost; real processes, kill -9."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.engines.bubblewrap import Bubblewrap
from orchestrator.contract.execution import Cause, ExecutionState
from orchestrator.contract.ids import ExecutionId
from tests.helpers.agents import agent, config_of, end_remains, shell
from tests.helpers.fake_orchestrator import FakeOrchestrator

needs_bubblewrap = pytest.mark.skipif(
    Bubblewrap.find(Path("/tmp/x")) is None, reason="bubblewrap is not installed or may not be used"
)


class Agents:
    """Agents `n1` on one data directory, one after the other, each a process."""

    def __init__(self, url: str, directory: Path) -> None:
        self.directory = directory
        self.config = config_of(url, directory)
        self._log = directory.with_suffix(".log")
        self._flags = ["--orchestrator", url, "--name", "n1", "--data-dir", str(directory), "--engines", "process"]
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, path: str = os.environ["PATH"]) -> asyncio.subprocess.Process:
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "node", *self._flags, "--cpu", "2", stderr=log, env=os.environ | {"PATH": path}
            )
        return self.process

    async def kill(self, number: int = signal.SIGKILL) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 20)

    async def close(self) -> None:
        if self.process is not None and self.process.returncode is None:
            await self.kill()
        await end_remains(self.config)

    def log(self) -> str:
        return self._log.read_text()


@pytest.fixture
async def orchestrator() -> AsyncIterator[FakeOrchestrator]:
    async with FakeOrchestrator(lease=2.0) as one:
        yield one


@pytest.fixture
async def agents(orchestrator: FakeOrchestrator, tmp_path: Path) -> AsyncIterator[Agents]:
    one = Agents(orchestrator.url, tmp_path / "n1")
    yield one
    await one.close()


async def running(orchestrator: FakeOrchestrator, *executions: str) -> None:
    await orchestrator.until(
        lambda: all(
            (report := orchestrator.reports.get(ExecutionId(one))) is not None
            and report.state is ExecutionState.RUNNING
            for one in executions
        )
    )


@needs_bubblewrap
async def test_a_killed_agents_work_is_adopted_and_its_end_told(orchestrator: FakeOrchestrator, agents: Agents) -> None:
    await agents.start()
    orchestrator.assign(shell("echo begun; sleep 6; echo done; exit 3"), "e-1")
    await running(orchestrator, "e-1")
    await agents.kill()
    count = len(orchestrator.requests)
    await agents.start()
    await orchestrator.until(lambda: len(orchestrator.requests) > count)
    first = orchestrator.requests[count]
    assert first.previous == orchestrator.requests[0].session
    assert first.session != first.previous
    assert first.cluster_id == "c"
    assert [(report.execution_id, report.state) for report in first.reports] == [("e-1", ExecutionState.RUNNING)]
    await orchestrator.until(lambda: orchestrator.end("e-1"))
    end = orchestrator.end("e-1")
    assert end is not None
    assert (end.exit_code, end.cause) == (3, Cause.EXIT)
    assert end.run_output is not None
    assert end.run_output.stdout == "begun\ndone\n"
    assert end.run_seconds is not None
    assert end.run_seconds > 5.9


@needs_bubblewrap
async def test_what_ended_while_the_agent_was_away_is_told_as_it_ended(
    orchestrator: FakeOrchestrator, agents: Agents
) -> None:
    await agents.start()
    orchestrator.assign(shell("sleep 0.7; echo done"), "e-1")
    await running(orchestrator, "e-1")
    await agents.kill()
    await orchestrator.until(
        lambda: "done" in (agents.directory / "executions" / orchestrator.real("e-1") / "stdout").read_text()
    )
    await agents.start()
    await orchestrator.until(lambda: orchestrator.end("e-1"))
    end = orchestrator.end("e-1")
    assert end is not None
    assert (end.exit_code, end.cause) == (0, None)


@needs_bubblewrap
async def test_a_log_goes_on_where_the_agent_before_stopped(orchestrator: FakeOrchestrator, agents: Agents) -> None:
    await agents.start()
    orchestrator.assign(shell("head -c 40000 /dev/zero; sleep 1.5; head -c 30000 /dev/zero"), "e-1", is_followed=True)
    await orchestrator.until(lambda: len(orchestrator.logs.get(("e-1", "out"), b"")) == 40_000)
    await agents.kill()
    await agents.start()
    await orchestrator.until(lambda: orchestrator.end("e-1"))
    end = orchestrator.end("e-1")
    assert end is not None
    assert len(orchestrator.logs["e-1", "out"]) >= 70_000 - 16_384
    tail = end.tails[0] if end.tails else None
    assert tail is None or tail.offset + len(tail.content) == 70_000
    assert tail is not None or len(orchestrator.logs["e-1", "out"]) == 70_000
    assert not end.log_truncated


async def test_a_bare_program_that_ended_meanwhile_is_lost(
    orchestrator: FakeOrchestrator, agents: Agents, tmp_path: Path
) -> None:
    path = without_bubblewrap(tmp_path)
    await agents.start(path)
    orchestrator.assign(shell("sleep 0.7; echo done"), "e-1")
    await running(orchestrator, "e-1")
    await agents.kill()
    await orchestrator.until(
        lambda: "done" in (agents.directory / "executions" / orchestrator.real("e-1") / "stdout").read_text()
    )
    await agents.start(path)
    await orchestrator.until(lambda: orchestrator.end("e-1"))
    end = orchestrator.end("e-1")
    assert end is not None
    assert (end.exit_code, end.cause) == (None, Cause.AGENT)


async def test_an_end_that_was_not_acknowledged_is_told_by_the_next_agent(
    orchestrator: FakeOrchestrator, agents: Agents, tmp_path: Path
) -> None:
    path = without_bubblewrap(tmp_path)  # then only the journal can tell the exit code
    await agents.start(path)
    orchestrator.assign(shell("sleep 0.5; echo gone >&2; exit 4"), "e-1")
    await running(orchestrator, "e-1")
    orchestrator.refusal = (503, "Busy", "not now")
    journal = agents.directory / "journal"
    await orchestrator.until(lambda: '"ended"' in journal.read_text())
    await agents.kill()
    orchestrator.refusal = None
    count = len(orchestrator.requests)
    await agents.start(path)
    await orchestrator.until(lambda: orchestrator.end("e-1"))
    assert orchestrator.requests[count].reports[0].end is not None, "not in the first sync"
    end = orchestrator.end("e-1")
    assert end is not None
    assert (end.exit_code, end.message) == (4, "gone")
    await orchestrator.until(lambda: not list((agents.directory / "executions").iterdir()))


async def test_what_the_journal_does_not_know_is_removed(orchestrator: FakeOrchestrator, agents: Agents) -> None:
    await agents.start()
    orchestrator.assign(shell("sleep 60"), "e-1")
    await running(orchestrator, "e-1")
    await agents.kill()
    journal = agents.directory / "journal"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if orchestrator.real("e-1") not in line))
    orchestrator.wanted.clear()
    await agents.start()
    await orchestrator.until(lambda: not programs_of(orchestrator.real("e-1")))
    await orchestrator.until(lambda: not list((agents.directory / "executions").iterdir()))
    await orchestrator.until(lambda: "strangers_removed" in agents.log())


async def test_told_to_end_it_stops_its_work_and_reports_it_lost(
    orchestrator: FakeOrchestrator, agents: Agents
) -> None:
    await agents.start()
    orchestrator.assign(shell("sleep 60", cpu="2"), "e-1")
    orchestrator.assign(shell("sleep 60", cpu="2"), "e-2")
    await running(orchestrator, "e-1")
    assert await agents.kill(signal.SIGTERM) == 0
    for one in ("e-1", "e-2"):
        end = orchestrator.end(one)
        assert end is not None
        assert (end.cause, end.message) == (Cause.AGENT, "the agent was stopped")
    assert not programs_of(orchestrator.real("e-1"))
    last = next(sync.info for sync in reversed(orchestrator.requests) if sync.info is not None)
    assert last.compute_node_info.execution_engines == ()


async def test_a_second_agent_on_the_same_directory_is_refused_with_the_pid_of_the_first(
    orchestrator: FakeOrchestrator, agents: Agents
) -> None:
    first = await agents.start()
    await orchestrator.until(lambda: orchestrator.requests)
    second = await agents.start()
    assert await second.wait() == 1
    assert f"is in use by the agent with pid {first.pid}" in agents.log()
    first.kill()
    await first.wait()


async def test_an_agent_that_is_cancelled_leaves_its_work_to_the_next(
    orchestrator: FakeOrchestrator, tmp_path: Path
) -> None:
    config = config_of(orchestrator.url, tmp_path)
    async with agent(config, is_left=True):
        orchestrator.assign(shell("sleep 60"), "e-1")
        await running(orchestrator, "e-1")
    assert programs_of(orchestrator.real("e-1"))
    orchestrator.reports.clear()
    async with agent(config):
        await running(orchestrator, "e-1")
        orchestrator.stop("e-1")
        await orchestrator.until(lambda: orchestrator.end("e-1"))
    assert not programs_of(orchestrator.real("e-1"))


def without_bubblewrap(directory: Path) -> str:
    """A PATH with the programs of the tests, but without bubblewrap."""
    place = directory / "bin"
    place.mkdir()
    for name in ("sh", "sleep", "cat"):
        (place / name).symlink_to(f"/bin/{name}")
    return str(place)


def programs_of(execution: str) -> list[int]:
    """Pids of living processes that were started for an execution."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"BACALHAU_EXECUTION_ID={execution}\0".encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
