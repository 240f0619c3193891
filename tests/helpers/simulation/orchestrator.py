"""The real reactor on a simulated process, with a store whose commits take time, fail, and are cut at any point."""

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from orchestrator.contract.agent import SyncRequest, SyncResponse
from orchestrator.contract.ids import NodeId, Timestamp
from orchestrator.core.commands import Sync
from orchestrator.core.model import AnswerRecord, Changes, JobRecord, PartitionRecord, Snapshot
from orchestrator.core.put import Put
from orchestrator.errors import OrchestratorError, StoreError
from orchestrator.reactor import Reactor
from orchestrator.routes.agents import hold, response_of
from orchestrator.store.memory import MemoryStore
from tests.helpers.simulation.timeline import Process

if TYPE_CHECKING:
    from tests.helpers.simulation.world import World


DISK_FULL = ("store", "no space left on device")


class SimStore:
    """One process' connection to the durable store."""

    def __init__(self, orchestrator: "Orchestrator", process: Process) -> None:
        self._orchestrator = orchestrator
        self._process = process
        self._durable = orchestrator.durable

    async def load(self) -> Snapshot:
        """What is unsettled."""
        return await self._durable.load()

    async def commit(self, changes: Changes, number: int, now: Timestamp) -> None:
        """Make it durable after a while. The process may be killed before, or between that and everything that follows."""
        orchestrator = self._orchestrator
        await asyncio.sleep(orchestrator.commit_seconds())
        if self._process.is_dead:
            raise asyncio.CancelledError
        if orchestrator.is_disk_full:
            raise StoreError(*DISK_FULL)
        if orchestrator.crash == "before":
            orchestrator.kill()
            raise asyncio.CancelledError
        orchestrator.world.oracle.ledger.commits(changes, now)
        await self._durable.commit(changes, number, now)
        if orchestrator.crash == "after":
            orchestrator.kill()
            raise asyncio.CancelledError

    async def close(self) -> None:
        """Nothing to give up."""

    async def find_jobs(self, wanted: str, namespace: str) -> list[JobRecord]:
        """By name or id."""
        return await self._durable.find_jobs(wanted, namespace)

    async def job(self, job_id: Any, version: int = 0) -> JobRecord | None:
        """A version of a job."""
        return await self._durable.job(job_id, version)

    async def partitions(self, job_id: Any, version: int) -> list[PartitionRecord]:
        """All touched ones."""
        return await self._durable.partitions(job_id, version)

    async def next_seq(self, job_id: Any) -> int:
        """Of the job's history."""
        return await self._durable.next_seq(job_id)

    async def answer(self, token: str) -> AnswerRecord | None:
        """What was answered to this token."""
        return await self._durable.answer(token)


class WatchedReactor(Reactor):
    """The reactor; `world.oracle` looks at everything that it makes visible."""

    world: "World"

    def _publish(self, put: Put) -> None:
        super()._publish(put)
        self.world.oracle.put(self, put)


class Orchestrator:
    """Killed and started again on the same store; what is asked of it while it is down finds nobody."""

    def __init__(self, world: "World", *, lease: float, fence: float) -> None:
        self.world = world
        self.lease = lease
        self.fence = fence
        self.durable = MemoryStore()
        self.durable._cluster_id = world.cluster_id
        self.is_disk_full = False
        self.crash = ""
        """Where the next commit is cut: `before` or `after` it is durable; empty = not."""
        self.process: Process | None = None
        self.reactor: Reactor | None = None
        self._backend: Any = None
        self._tasks: asyncio.TaskGroup | None = None
        self.is_slow = False

    @property
    def is_up(self) -> bool:
        """Whether it takes requests."""
        return self._tasks is not None and self.process is not None and not self.process.is_dead

    def commit_seconds(self) -> float:
        """How long the next commit takes."""
        return self.world.rng.uniform(0.5, 3.0) if self.is_slow else self.world.rng.uniform(0.0005, 0.005)

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.process is not None and not self.process.is_dead:
            return
        self.crash = ""
        process = self.process = Process(self.world.time, "orchestrator")
        process.begin(self._serve(process), self._ended)

    async def _serve(self, process: Process) -> None:
        reactor = WatchedReactor(
            cast("Any", SimStore(self, process)), NodeId("orch"), lease=self.lease, fence=self.fence
        )
        reactor.world = self.world
        await reactor.start()
        logbook = SimpleNamespace(is_followed=lambda _: False)
        async with asyncio.TaskGroup() as tasks:
            self.reactor, self._tasks = reactor, tasks
            self._backend = SimpleNamespace(
                reactor=reactor, logbook=logbook, arrivals={}, answered={}, is_closing=False
            )
            await reactor.run()

    def _ended(self, reason: BaseException | None) -> None:
        """Its store failed: it ends and is started again."""
        self.reactor = self._tasks = None
        error = reason
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if not isinstance(error, StoreError):
            import traceback

            text = "".join(traceback.format_exception(error)) if error else "without a reason"
            self.world.time.problems.append(f"the orchestrator ended: {text}")
        self.world.time.later(self.world.rng.uniform(0.5, 5.0), self.start)

    def kill(self) -> None:
        """kill -9, at any point; it is started again after a while."""
        process = self.process
        if process is None or process.is_dead:
            return
        if self.reactor is not None and self.reactor._cluster is not None:
            self.world.oracle.outlives(self.reactor)
        self.reactor = self._tasks = None
        process.kill()
        self.world.time.later(self.world.rng.choice([0.01, 0.1, 0.5, 1.5]) * self.lease, self.start)

    def restore(self, copy: MemoryStore) -> None:
        """Put an older copy of the store in the place of the current one."""
        self.kill()
        self.durable = copy

    def receive(self, node: NodeId, request: SyncRequest, answer: Callable[[Any], None]) -> bool:
        """A sync arrives; False = nobody listens."""
        self.world.oracle.arrives(node, request)
        return self.spawn(lambda: self._sync(node, request, answer))

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Have a request carried out; False = nobody listens."""
        if not self.is_up:
            return False
        assert self._tasks is not None
        assert self.process is not None
        self._tasks.create_task(work())
        self.process.drain()
        return True

    async def _sync(self, node: NodeId, request: SyncRequest, answer: Callable[[Any], None]) -> None:
        """As the route does it."""
        process, reactor, backend = self.process, self.reactor, self._backend
        assert process is not None
        assert reactor is not None
        response: SyncResponse | OrchestratorError
        try:
            await reactor.carry_out(Sync(node_id=node, request=request))
            self.world.oracle.observed(node, request, reactor)
            await hold(backend, node, request)
            response = response_of(backend, node, request)
            self.world.oracle.answers(node, response)
        except StoreError as error:
            response = error
        except OrchestratorError as error:
            response = error
        if not process.is_dead:
            answer(response)
