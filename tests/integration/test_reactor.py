"""The one task that changes the cluster, over stores that hold a commit, fail it, or are opened again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from orchestrator import reactor as module
from orchestrator.contract.agent import End, Report, SyncRequest
from orchestrator.contract.execution import ExecutionState
from orchestrator.contract.ids import JobId, NodeId, Timestamp, after
from orchestrator.contract.job import Job, JobStateType
from orchestrator.contract.node import Connection, Resources
from orchestrator.contract.partitions import PartitionState
from orchestrator.core.commands import Decision, Reply, Retry, Stop, Submit, Submitted, Sync
from orchestrator.core.model import Changes
from orchestrator.errors import CannotStopError, JobNotFoundError, NoChangesError, StoreError
from orchestrator.reactor import Reactor
from orchestrator.store.base import ExecutionQuery, Store
from orchestrator.store.memory import MemoryStore
from orchestrator.store.sqlite import SqliteStore
from orchestrator.watch import job_bell
from tests.helpers.harness import a_job, a_node_info

Open = Callable[[], Awaitable[Store]]
N1 = NodeId("n1")


@pytest.fixture(params=["memory", "sqlite"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Open the same store, again and again."""
    memory = MemoryStore()

    async def open_store() -> Store:
        return memory if request.param == "memory" else await SqliteStore.open(tmp_path)

    return open_store


class Gate:
    """Lets commits of a store through, holds them, or makes them fail."""

    def __init__(self, store: Store) -> None:
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.entered = asyncio.Event()
        self.error: StoreError | None = None
        self.commits = 0
        self._commit = store.commit
        store.commit = self.commit  # type: ignore[method-assign]

    async def commit(self, changes: Changes, number: int, now: Timestamp) -> None:
        self.entered.set()
        await self.is_open.wait()
        if self.error:
            raise self.error
        await self._commit(changes, number, now)
        self.commits += 1

    def hold(self) -> None:
        self.is_open.clear()
        self.entered.clear()


@asynccontextmanager
async def running(store: Store) -> AsyncIterator[Reactor]:
    """A reactor that works; it is cancelled and the store is closed at the end."""
    reactor = Reactor(store, NodeId("orch"), lease=30, fence=600)
    await reactor.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(reactor.run())
            yield reactor
            task.cancel()
    finally:
        await store.close()


async def submit(reactor: Reactor, job: Job) -> JobId:
    reply = await reactor.carry_out(Submit(job=job))
    assert isinstance(reply, Submitted)
    return reply.job_id


class Agent:
    """A node that says what the test wants."""

    def __init__(self, reactor: Reactor, seq: int = 0) -> None:
        self.reactor = reactor
        self.seq = seq

    async def say(self, state: ExecutionState | None = None, end: End | None = None) -> None:
        """Report all its executions in one state; without one it introduces itself."""
        self.seq += 1
        node = self.reactor.cluster.nodes.get(N1)
        need = Resources(cpu=1) if state is ExecutionState.RUNNING else None
        reports = [Report(execution_id=e, state=state, end=end, need=need) for e in node.live] if node and state else []
        info = None if node else a_node_info("n1", cpu=4)
        request = SyncRequest(session="s1", seq=self.seq, info=info, reports=tuple(reports))
        await self.reactor.carry_out(Sync(node_id=N1, request=request))


async def test_commands_that_arrive_during_a_commit_go_together_into_the_next_one(opened: Open) -> None:
    store = await opened()
    gate = Gate(store)
    async with running(store) as reactor, asyncio.TaskGroup() as tasks:
        gate.hold()
        first = tasks.create_task(submit(reactor, a_job("first", count=0)))
        await gate.entered.wait()
        others = [tasks.create_task(submit(reactor, a_job(f"job-{n}", count=0))) for n in range(50)]
        await asyncio.sleep(0)
        gate.is_open.set()
        ids = {await task for task in (first, *others)}
        assert (len(ids), gate.commits, reactor.commit) == (51, 2, 2)


async def test_nothing_is_visible_before_it_is_durable(opened: Open) -> None:
    store = await opened()
    gate = Gate(store)
    async with running(store) as reactor, asyncio.TaskGroup() as tasks:
        job_id = await submit(reactor, a_job("a", count=3))
        commit = reactor.commit
        with reactor.bells.listen(job_bell(job_id)) as rung:
            gate.hold()
            stopping = tasks.create_task(reactor.carry_out(Stop(job_id=job_id, reason="")))
            await gate.entered.wait()
            assert reactor.cluster.jobs[job_id].record.job.state.state_type is JobStateType.QUEUED
            assert (rung.is_set(), stopping.done(), reactor.commit) == (False, False, commit)
            assert reactor.changes(job_id).last < commit + 1
            gate.is_open.set()
            await stopping
            assert rung.is_set()
        assert reactor.cluster.jobs[job_id].record.job.state.state_type is JobStateType.STOPPED
        assert reactor.commit == commit + 1


async def test_a_decision_that_fails_fails_alone() -> None:
    store = MemoryStore()
    gate = Gate(store)
    async with running(store) as reactor, asyncio.TaskGroup() as tasks:
        done = await submit(reactor, a_job("done", count=0))
        gate.hold()
        first = tasks.create_task(submit(reactor, a_job("first", count=0)))
        await gate.entered.wait()
        commands: list[Decision] = [
            Submit(job=a_job("good", count=0)),
            Submit(job=a_job("good", count=0)),
            Stop(job_id=done, reason=""),
            Stop(job_id=JobId("j-none"), reason=""),
            Retry(job_id=done, partitions=("a bug",)),  # type: ignore[arg-type]
            Submit(job=a_job("better", count=0)),
        ]
        waiting = asyncio.gather(*(reactor.carry_out(command) for command in commands), return_exceptions=True)
        await asyncio.sleep(0)
        gate.is_open.set()
        await first
        good, again, stopped, unknown, bug, better = await waiting
        assert isinstance(good, Submitted)
        assert isinstance(better, Submitted)
        assert isinstance(again, NoChangesError)
        assert isinstance(stopped, CannotStopError)
        assert isinstance(unknown, JobNotFoundError)
        assert isinstance(bug, AttributeError)
        assert sorted(entry.record.job.name for entry in reactor.cluster.jobs.values()) == [
            "better",
            "done",
            "first",
            "good",
        ]


async def test_a_commit_that_fails_ends_the_run_and_everybody_is_told() -> None:
    store = MemoryStore()
    gate = Gate(store)
    reactor = Reactor(store, NodeId("orch"), lease=30, fence=600)
    await reactor.start()
    run = asyncio.ensure_future(reactor.run())
    gate.hold()
    gate.error = StoreError("/data/store", "disk full")
    carried = asyncio.ensure_future(submit(reactor, a_job("a")))
    await gate.entered.wait()
    waiting = asyncio.ensure_future(submit(reactor, a_job("b")))
    await asyncio.sleep(0)
    gate.is_open.set()
    async with asyncio.timeout(30):
        for broken in (run, carried, waiting, asyncio.ensure_future(submit(reactor, a_job("c")))):
            with pytest.raises(StoreError, match="/data/store: disk full"):
                await broken
    assert not reactor.cluster.jobs
    assert reactor.commit == 0


async def test_a_run_that_is_cancelled_leaves_nobody_waiting() -> None:
    store = MemoryStore()
    gate = Gate(store)
    reactor = Reactor(store, NodeId("orch"), lease=30, fence=600)
    await reactor.start()
    run = asyncio.ensure_future(reactor.run())
    gate.hold()
    carried = asyncio.ensure_future(submit(reactor, a_job("a")))
    await gate.entered.wait()
    waiting = asyncio.ensure_future(submit(reactor, a_job("b")))
    await asyncio.sleep(0)
    run.cancel()
    async with asyncio.timeout(30):
        assert await asyncio.gather(run, carried, waiting, return_exceptions=True)
    assert (carried.cancelled(), waiting.cancelled()) == (True, True)


async def test_a_caller_that_went_away_does_not_undo_its_command() -> None:
    store = MemoryStore()
    gate = Gate(store)
    async with running(store) as reactor, asyncio.TaskGroup() as tasks:
        gate.hold()
        first = tasks.create_task(submit(reactor, a_job("first", count=0)))
        await gate.entered.wait()
        gone = tasks.create_task(submit(reactor, a_job("gone", count=0)))
        stays = tasks.create_task(submit(reactor, a_job("stays", count=0)))
        await asyncio.sleep(0)
        gone.cancel()
        first.cancel()
        gate.is_open.set()
        await stays
        names = {entry.record.job.name for entry in reactor.cluster.jobs.values()}
        assert names == {"first", "gone", "stays"}


def name_of(reply: Reply) -> bytes:
    assert isinstance(reply, Submitted)
    return f"{reply.job_id} {reply.version}".encode()


async def test_a_token_means_one_request_for_ever_after(opened: Open) -> None:
    command = Submit(job=a_job("", count=0))
    async with running(await opened()) as reactor:
        first = await reactor.carry_out_once(command, "PUT jobs t1", name_of)
        assert await reactor.carry_out_once(command, "PUT jobs t1", name_of) == first
        assert await reactor.carry_out_once(command, "PUT jobs t2", name_of) != first
        assert len({await reactor.carry_out_once(command, "", name_of) for _ in range(2)}) == 2
    async with running(await opened()) as reactor:
        assert await reactor.carry_out_once(command, "PUT jobs t1", name_of) == first


async def test_a_token_that_comes_again_while_its_commit_runs_is_carried_out_once(opened: Open) -> None:
    store = await opened()
    gate = Gate(store)
    command = Submit(job=a_job("", count=0))
    async with running(store) as reactor, asyncio.TaskGroup() as tasks:
        gate.hold()
        first = tasks.create_task(reactor.carry_out_once(command, "t", name_of))
        await gate.entered.wait()
        others = [tasks.create_task(reactor.carry_out_once(command, "t", name_of)) for _ in range(3)]
        await asyncio.sleep(0)
        gate.is_open.set()
        assert {await task for task in others} == {await first}
        assert len(reactor.cluster.jobs) == 1


async def test_a_refused_command_keeps_no_answer() -> None:
    async with running(MemoryStore()) as reactor:
        await submit(reactor, a_job("a", count=0))
        for _ in range(2):
            with pytest.raises(NoChangesError):
                await reactor.carry_out_once(Submit(job=a_job("a", count=0)), "t", name_of)
        with pytest.raises(ValueError, match="no words"):
            await reactor.carry_out_once(Submit(job=a_job("b", count=0)), "t", no_words)
        assert len(reactor.cluster.jobs) == 1
        assert await reactor.carry_out_once(Submit(job=a_job("b", count=0)), "t", name_of)


def no_words(_: Reply) -> bytes:
    message = "no words"
    raise ValueError(message)


async def test_a_restart_runs_nothing_again(opened: Open) -> None:
    async with running(await opened()) as reactor:
        agent = Agent(reactor)
        await agent.say()
        job_id = await submit(reactor, a_job("a", count=6))
        await agent.say(ExecutionState.RUNNING)
        seen = dict(reactor.cluster.executions)
        words = bytes(reactor.cluster.jobs[job_id].states)
        cluster_id = reactor.cluster.id
    assert len(seen) == 4
    async with running(await opened()) as reactor:
        assert (reactor.cluster.id, reactor.cluster.executions) == (cluster_id, seen)
        assert bytes(reactor.cluster.jobs[job_id].states) == words
        agent = Agent(reactor, seq=10)
        await agent.say(ExecutionState.RUNNING)
        await agent.say(ExecutionState.COMPLETED, End(exit_code=0, run_seconds=5))
        await agent.say(ExecutionState.COMPLETED, End(exit_code=0, run_seconds=5))
        assert reactor.cluster.jobs[job_id].record.job.state.state_type is JobStateType.COMPLETED
        executions = await reactor.store.executions(ExecutionQuery(job_id=job_id))
        assert sorted(execution.index for execution in executions) == list(range(6))
    async with running(await opened()) as reactor:
        assert not reactor.cluster.jobs
        assert (await reactor.entry("a")).counts[PartitionState.COMPLETED] == 6
        assert not reactor.cluster.executions


async def test_an_older_version_that_still_stops_does_not_come_back_with_a_restart(opened: Open) -> None:
    async with running(await opened()) as reactor:
        agent = Agent(reactor)
        await agent.say()
        job_id = await submit(reactor, a_job("a", count=9))
        await agent.say(ExecutionState.RUNNING)
        await submit(reactor, a_job("a", count=0))
        assert reactor.cluster.jobs[job_id].record.job.state.state_type is JobStateType.COMPLETED
    async with running(await opened()) as reactor:
        agent = Agent(reactor, seq=10)
        await agent.say(ExecutionState.RUNNING)
        job = reactor.cluster.jobs[job_id].record.job
        assert (job.version, job.state.state_type) == (2, JobStateType.COMPLETED)
        await agent.say(ExecutionState.CANCELLED, End(exit_code=137))
        assert not reactor.cluster.executions
        assert len(await reactor.store.executions(ExecutionQuery(job_id=job_id))) == 4


async def test_settled_jobs_leave_memory_and_come_back_when_somebody_asks(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SETTLED", 2)
    async with running(await opened()) as reactor:
        agent = Agent(reactor)
        await agent.say()
        job_id = await submit(reactor, a_job("kept", count=3))
        await reactor.carry_out(Stop(job_id=job_id, reason=""))
        await agent.say(ExecutionState.CANCELLED, End(exit_code=137))
        ids = [await submit(reactor, a_job(f"job-{n}", count=0)) for n in range(5)]
        assert list(reactor.cluster.jobs) == ids[-2:]
        entry = await reactor.entry("kept")
        assert (entry.id, entry.counts[PartitionState.STOPPED]) == (job_id, 3)
        await submit(reactor, a_job("late", count=0))
        assert job_id in reactor.cluster.jobs, "who was asked for last goes last"
        for name in ("x", "y"):
            await submit(reactor, a_job(name, count=0))
        assert job_id not in reactor.cluster.jobs
        await reactor.carry_out(Retry(job_id=job_id, partitions=(range(3),)))
        entry = reactor.cluster.jobs[job_id]
        assert (entry.record.job.state.state_type, entry.attempts[0]) == (JobStateType.RUNNING, 2)
        again = await submit(reactor, a_job("job-0", count=1))
        assert (again, reactor.cluster.jobs[again].record.job.version) == (ids[0], 2)
        reactor.cluster.check()


class Watch:
    """A clock that the test moves."""

    def __init__(self, now: Timestamp) -> None:
        self.time = now

    def now(self) -> Timestamp:
        return self.time


@pytest.mark.parametrize("stall", [20, 100])
async def test_a_commit_that_stalls_is_not_the_nodes_fault(stall: int) -> None:
    store = MemoryStore()
    gate = Gate(store)
    async with running(store) as reactor, asyncio.TaskGroup() as tasks:
        reactor.clock = clock = Watch(reactor.clock.now())  # type: ignore[assignment]
        await Agent(reactor).say()
        lease = reactor.cluster.nodes[N1].lease_until
        gate.hold()
        first = tasks.create_task(submit(reactor, a_job("a", count=0)))
        await gate.entered.wait()
        clock.time = after(clock.time, stall)
        gate.is_open.set()
        await first
        await submit(reactor, a_job("b", count=0))
        node = reactor.cluster.nodes[N1]
        assert (node.record.connection, node.lease_until) == (Connection.CONNECTED, after(lease, stall))


async def test_watchers_are_told_which_partitions_changed() -> None:
    async with running(MemoryStore()) as reactor:
        job_id = await submit(reactor, a_job("a", count=9))
        commit = reactor.commit
        agent = Agent(reactor)
        await agent.say()
        assert reactor.changes(job_id).since(commit) == {0, 1, 2, 3}
        assert reactor.changes(job_id).since(reactor.commit) == set()
        await reactor.carry_out(Stop(job_id=job_id, reason=""))
        assert reactor.changes(job_id).since(commit) is None, "too many changed to name them"
