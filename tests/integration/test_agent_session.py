"""The sync session of a real agent beside an orchestrator that loses, delays and repeats answers, or refuses it."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from node.engines.base import Known, Owner
from node.engines.process import ProcessEngine
from node.uplink import NodeRefusedError, SessionConflictError, WrongClusterError
from orchestrator.contract.agent import SyncRequest, SyncResponse
from orchestrator.contract.execution import Cause, ExecutionState
from orchestrator.contract.ids import ExecutionId
from orchestrator.contract.job import SpecConfig
from tests.helpers.agents import agent, config_of, shell
from tests.helpers.fake_orchestrator import FakeOrchestrator


@pytest.fixture(autouse=True)
def _without_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs may then write where the test sees it."""
    monkeypatch.setattr("node.present.Bubblewrap.find", lambda _: None)


async def test_first_sync_introduces_the_node_and_later_ones_do_not(tmp_path: Path) -> None:
    async with FakeOrchestrator(lease=0.6) as orchestrator, agent(config_of(orchestrator.url, tmp_path)):
        await orchestrator.until(lambda: len(orchestrator.requests) > 2)
    first, second, third = orchestrator.requests[:3]
    assert first.info is not None
    assert first.info.compute_node_info.execution_engines == ("process",)
    assert first.info.labels["name"] == "n1"
    assert (first.previous, first.cluster_id, first.wait) == ("", "", 0.0)
    assert second.info is None
    assert (second.session, second.cluster_id) == (first.session, "c")
    assert [first.seq, second.seq, third.seq] == [1, 2, 3]


async def test_an_answer_is_held_a_third_of_the_lease_at_most(tmp_path: Path) -> None:
    async with FakeOrchestrator(lease=0.9) as orchestrator, agent(config_of(orchestrator.url, tmp_path)):
        await orchestrator.until(lambda: len(orchestrator.requests) > 1)
    assert orchestrator.requests[1].wait == pytest.approx(0.3)


async def test_a_change_while_a_sync_is_held_is_told_at_once_by_another(tmp_path: Path) -> None:
    async with FakeOrchestrator(lease=180) as orchestrator, agent(config_of(orchestrator.url, tmp_path)):
        await orchestrator.until(lambda: orchestrator.held == 1)
        orchestrator.assign(shell("sleep 0.2"), "e-1")
        await orchestrator.until(lambda: orchestrator.end("e-1"), 20)  # of the 60 s that one is held
        await orchestrator.until(lambda: not orchestrator.reports, 20)
    assert orchestrator.most_held == 2


async def test_a_lost_answer_heals_with_the_next_sync_and_nothing_runs_twice(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    async with FakeOrchestrator() as orchestrator, agent(config_of(orchestrator.url, tmp_path / "n")):
        await orchestrator.until(lambda: orchestrator.held == 1)
        orchestrator.lose = 3
        orchestrator.assign(shell(f"echo x >> {mark}"), "e-1")
        await orchestrator.until(lambda: orchestrator.end("e-1"))
        await orchestrator.until(lambda: not orchestrator.reports)
    assert mark.read_text() == "x\n"


async def test_a_lost_report_of_an_end_is_repeated_until_it_is_answered(tmp_path: Path) -> None:
    async with FakeOrchestrator() as orchestrator, agent(config_of(orchestrator.url, tmp_path)):
        orchestrator.assign(shell("exit 3"), "e-1")
        await orchestrator.until(lambda: orchestrator.reports)
        orchestrator.lose = 4
        await orchestrator.until(lambda: orchestrator.end("e-1"))
        await orchestrator.until(lambda: not orchestrator.reports)
    ends = orchestrator.ends[ExecutionId("e-1")]
    assert {end.exit_code for end in ends} == {3}


async def test_an_older_answer_that_comes_late_changes_nothing(tmp_path: Path) -> None:
    late = asyncio.Event()
    held_seq = 0

    async def answer(sync: SyncRequest, response: SyncResponse) -> SyncResponse:
        if sync.seq == held_seq:
            await late.wait()
            return msgspec.structs.replace(response, assignments=())
        return response

    async with FakeOrchestrator(lease=30) as orchestrator, agent(config_of(orchestrator.url, tmp_path)):
        orchestrator.assign(shell("sleep 1; exit 5"), "e-1")
        await orchestrator.until(lambda: state(orchestrator, "e-1") is ExecutionState.RUNNING)
        await orchestrator.until(lambda: orchestrator.held == 1)
        held_seq = orchestrator.requests[-1].seq
        orchestrator.answer = answer
        orchestrator.assign(shell("exit 6", 2), "e-2")  # answers the held one, which gets stuck on its way
        await orchestrator.until(lambda: orchestrator.end("e-1"))  # its end went in another sync, answered before
        await orchestrator.until(lambda: orchestrator.end("e-2"))
        orchestrator.assign(shell("sleep 1; exit 7", 3), "e-3")
        await orchestrator.until(lambda: state(orchestrator, "e-3") is ExecutionState.RUNNING)
        late.set()  # names nothing: taken, it would stop e-3
        await orchestrator.until(lambda: orchestrator.end("e-3"))
    end = orchestrator.end("e-3")
    assert end is not None
    assert end.exit_code == 7


async def test_an_answer_whose_lease_is_over_when_it_comes_is_not_followed(tmp_path: Path) -> None:
    async with FakeOrchestrator(lease=0.3) as orchestrator, agent(config_of(orchestrator.url, tmp_path)):
        await orchestrator.until(lambda: orchestrator.requests)
        seen: list[int] = []

        async def answer(sync: SyncRequest, response: SyncResponse) -> SyncResponse:
            if not seen:
                seen.append(sync.seq)
                await asyncio.sleep(0.5)
                return response
            return msgspec.structs.replace(response, assignments=())

        orchestrator.answer = answer
        orchestrator.assign(shell("true"), "e-1")
        await orchestrator.until(lambda: len(orchestrator.requests) > 4)
    assert orchestrator.end("e-1") is None


async def test_fence_over_stops_all_work_and_reports_it_lost(tmp_path: Path) -> None:
    orchestrator = FakeOrchestrator(lease=0.3, fence=1.0)
    mark = tmp_path / "alive"
    async with orchestrator as first, agent(config_of(first.url, tmp_path / "n")):
        first.assign(shell(f"echo $$ > {mark}; exec sleep 60"), "e-1")
        await first.until(lambda: state(first, "e-1") is ExecutionState.RUNNING)
        first.refusal = (503, "Busy", "not now")
        await first.until(lambda: not is_alive(mark), 5)
        first.refusal = None
        await first.until(lambda: first.end("e-1"))
    end = orchestrator.end("e-1")
    assert end is not None
    assert end.cause is Cause.AGENT
    assert "nothing was heard" in end.message


async def test_a_superseded_session_stops_its_work_and_ends(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    async with FakeOrchestrator() as orchestrator, agent(config_of(orchestrator.url, tmp_path / "n")) as running:
        orchestrator.assign(shell(f"echo $$ > {mark}; exec sleep 60"), "e-1")
        await orchestrator.until(lambda: state(orchestrator, "e-1") is ExecutionState.RUNNING)
        orchestrator.refusal = (409, "ConflictNodeState", "node n1 is held by session s-2")
        orchestrator.tell()
        with pytest.raises(SessionConflictError, match="held by session s-2"):
            await asyncio.wait_for(running, 60)
    assert not is_alive(mark)


async def test_a_new_session_waits_for_the_lease_of_the_old(tmp_path: Path) -> None:
    async with FakeOrchestrator() as orchestrator:
        orchestrator.refusal = (409, "ConflictNodeState", "node n1 is held by session s-1")
        async with agent(config_of(orchestrator.url, tmp_path)) as running:
            await asyncio.sleep(0.5)
            assert not running.done()
            orchestrator.refusal = None
            await orchestrator.until(lambda: orchestrator.requests)


async def test_a_refused_node_stops_its_work_and_ends(tmp_path: Path) -> None:
    async with FakeOrchestrator() as orchestrator, agent(config_of(orchestrator.url, tmp_path)) as running:
        await orchestrator.until(lambda: orchestrator.requests)
        orchestrator.refusal = (403, "Forbidden", "node n1 was rejected")
        orchestrator.tell()
        with pytest.raises(NodeRefusedError, match="rejected"):
            await asyncio.wait_for(running, 60)


async def test_another_cluster_ends_an_idle_agent_and_leaves_a_busy_one_until_the_fence(tmp_path: Path) -> None:
    async with FakeOrchestrator(fence=1.5) as orchestrator, agent(config_of(orchestrator.url, tmp_path)) as running:
        orchestrator.assign(shell("sleep 60"), "e-1")
        await orchestrator.until(lambda: state(orchestrator, "e-1") is ExecutionState.RUNNING)
        orchestrator.refusal = (409, "WrongCluster", "the node's journal is of cluster c1; this is cluster c2")
        orchestrator.tell()
        await asyncio.sleep(0.7)
        assert not running.done()
        with pytest.raises(WrongClusterError, match="this is cluster c2"):
            await asyncio.wait_for(running, 60)


async def test_an_orchestrator_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    orchestrator = FakeOrchestrator()
    async with orchestrator:
        pass
    async with agent(config_of(orchestrator.url, tmp_path)) as running:
        await asyncio.sleep(0.3)
        assert not running.done()
        async with orchestrator:
            await orchestrator.until(lambda: orchestrator.requests)


def state(orchestrator: FakeOrchestrator, execution: str) -> ExecutionState | None:
    report = orchestrator.reports.get(ExecutionId(execution))
    return report.state if report is not None else None


def is_alive(mark: Path) -> bool:
    """Whether the process runs whose pid is in the file."""
    return Path(f"/proc/{mark.read_text().strip()}").exists()


async def test_an_engine_that_is_slow_to_clean_up_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(ProcessEngine):
        """What Docker would be, with an engine that answers late."""

        name = "docker"
        cleaned = asyncio.Event()

        async def remove_strangers(self, owner: Owner, known: Known) -> list[ExecutionId]:
            del owner, known
            await self.cleaned.wait()
            return []

    monkeypatch.setattr("node.engines.docker.DockerEngine.connect", lambda _: settled(Slow(tmp_path / "docker", None)))
    monkeypatch.setattr("node.present.os.access", lambda *_: True)
    async with (
        FakeOrchestrator() as orchestrator,
        agent(config_of(orchestrator.url, tmp_path / "n", engines=("docker", "process"))),
    ):
        slow = SpecConfig(type="docker", params={"Command": "true"})
        orchestrator.assign(shell("", 1, engine=slow), "e-1")
        orchestrator.assign(shell("true", 2), "e-2")
        await orchestrator.until(lambda: orchestrator.end("e-2"))
        assert orchestrator.reports[ExecutionId("e-1")].is_backlog
        Slow.cleaned.set()
        await orchestrator.until(lambda: orchestrator.end("e-1"))
    assert (end := orchestrator.end("e-1")) is not None
    assert end.cause is None


async def test_an_engine_that_does_not_answer_keeps_no_new_agent_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def adopt(*_: object) -> None:
        await asyncio.Event().wait()

    async with FakeOrchestrator(lease=3) as orchestrator:
        config = config_of(orchestrator.url, tmp_path)
        async with agent(config, is_left=True):
            orchestrator.assign(shell("sleep 60"), "e-1")
            await orchestrator.until(lambda: state(orchestrator, "e-1") is ExecutionState.RUNNING)
        number = len(orchestrator.requests)
        monkeypatch.setattr(ProcessEngine, "adopt", adopt)
        async with agent(config):
            await orchestrator.until(lambda: len(orchestrator.requests) > number)
    first = orchestrator.requests[number]
    assert first.session != orchestrator.requests[0].session
    assert [(one.execution_id, one.state) for one in first.reports] == [("e-1", ExecutionState.RUNNING)]


async def settled(engine: ProcessEngine) -> ProcessEngine:
    return engine
