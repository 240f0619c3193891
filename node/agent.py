"""The agent of one node: session, fence, watch, and one task an execution, all in one TaskGroup."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import structlog

from node.capacity import Load, Offer, node_info
from node.cleaning import Cleaning
from node.clock import boot_id, boot_seconds
from node.converge import Forget, Seen, Start, converge
from node.converge import Stop as StopIt
from node.engines.base import Owner
from node.fence import watch_fence
from node.held import Held, Phase, Stop
from node.journal import Committed, Forgotten, Journal, Opened
from node.present import Engines
from node.revive import revive
from node.runner import Runner
from node.session import Session
from node.uplink import Uplink, UplinkError
from node.workdirs import WorkDirectories
from orchestrator.contract.agent import Assignment, Report, SyncRequest, SyncResponse
from orchestrator.contract.execution import Cause
from orchestrator.contract.ids import ExecutionId, JobId, NodeId
from orchestrator.contract.job import Job
from orchestrator.contract.node import NodeInfo, Resources
from orchestrator.contract.units import resources

log = structlog.get_logger()

SPARE_JOBS = 64
"""Specs that are kept though no execution here runs them."""
REMEMBERED = 10_000
"""Executions that ended here and are still known not to be started again."""
ENGINES_AGAIN_SECONDS = 30.0
STOPPING_SECONDS = 15.0
LAST_WORD_SECONDS = 3.0
"""How long an agent that is told to end waits for its work to stop, and then for the orchestrator to know."""
MOST_TAIL_BYTES = 4 << 20
"""Of the ends in one sync."""
STOPPED_MESSAGE = "the agent was stopped"


class Agent:
    """Runs what the orchestrator wants on this node until it is told to leave, or refused."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        labels: Mapping[str, str],
        offer: Offer,
        engines: Engines,
        runner: Runner,
        journal: Journal,
        uplink: Uplink,
        workdirs: WorkDirectories,
    ) -> None:
        self._node_id = node_id
        self._labels = labels
        self._offer = offer
        self._engines = engines
        self._runner = runner
        self._journal = journal
        self._uplink = uplink
        self._workdirs = workdirs
        past = journal.past
        opened = past.opened or Opened(cluster_id="", session="", lease_seconds=30.0, fence_seconds=600.0)
        self._opened = opened
        self._previous = opened.session
        self._commit = past.commit
        self._held: dict[ExecutionId, Held] = {}
        self._going: set[ExecutionId] = set()
        """What is forgotten, and being removed from its engine."""
        self._done: dict[ExecutionId, None] = {}
        self._jobs: dict[tuple[JobId, int], Job] = {}
        self._needs: dict[tuple[JobId, int], Resources] = {}
        self._backlog: deque[Held] = deque()
        self._used = Resources()
        """Needs of all that holds capacity; more than there is, where the agent before this one had more."""
        self._info_seq = 0
        """Seq of the first sync that carried the info as it is now; 0 = none did, -1 = it is known."""
        self._leaving = asyncio.Event()
        self._settled = asyncio.Event()
        self._ended_by: UplinkError | None = None
        self._tasks = asyncio.TaskGroup()
        self._cleaning = Cleaning(
            self._tasks,
            self._leaving,
            lambda engine: engine.remove_strangers(self._owner(), lambda: self._held.keys() | self._going),
            self._fill,
        )
        self.session = Session(uplink, self, opened.lease_seconds, opened.fence_seconds, opened.cluster_id)

    def leave(self) -> None:
        """Stop all work, report it lost, so that it moves at once, and end `run`."""
        self._leaving.set()

    async def run(self) -> None:
        """Be the node until `leave`. Raises the UplinkError that ended it instead: superseded, refused, wrong cluster."""
        async with self._tasks as tasks:
            background = [tasks.create_task(self._runner.watch.run())]
            await self._take_up()
            if self._opened.cluster_id:
                self._clean_all()
            background.append(tasks.create_task(watch_fence(self.session, self._stop_work)))
            background.append(tasks.create_task(self._keep_session()))
            background.append(tasks.create_task(self._await_engines()))
            log.info(
                "node_started", node_id=self._node_id, orchestrator=self._uplink.orchestrator, held=len(self._held)
            )
            try:
                await self._leaving.wait()
            finally:
                self._leaving.set()  # also when cancelled: nothing starts any more
            await self._wind_down()
            background.extend(held.task for held in self._held.values() if held.task is not None)
            for task in background:
                task.cancel()
        if self._ended_by is not None:
            raise self._ended_by

    # What the session asks for.

    def request(self, seq: int, wait: float, *, is_first: bool) -> SyncRequest:
        """Everything that is seen now."""
        now = boot_seconds()
        if self._info_seq == 0:
            self._info_seq = seq
        return SyncRequest(
            cluster_id=self._opened.cluster_id,
            session=self._uplink.session,
            previous=self._previous if is_first else "",
            seq=seq,
            commit=self._commit,
            info=self._info() if is_first or self._info_seq > 0 else None,
            held=tuple(self._jobs),
            reports=tuple(self._reports(seq, now)),
            wait=wait,
        )

    def _reports(self, seq: int, now: float) -> Iterator[Report]:
        """A line about everything here; ends beyond a few MiB of log are kept for the syncs to come."""
        size = 0
        for held in self._held.values():
            with_end = held.end is not None and size < MOST_TAIL_BYTES
            if with_end and held.end is not None:
                size += sum(len(tail.content) for tail in held.end.tails)
            yield held.report(seq, now, with_end=with_end)

    def is_idle(self) -> bool:
        """Whether there is no work here."""
        return all(held.phase is Phase.ENDED for held in self._held.values())

    def unheard(self) -> None:
        """A sync failed: whoever waits for the last one waits in vain."""
        self._settled.set()

    def apply(self, response: SyncResponse) -> None:
        """Make the node as the answer wants it."""
        self._note(response)
        if 0 < self._info_seq <= response.seq:
            self._info_seq = -1
        for job in response.jobs:
            self._jobs[job.id, job.version] = job
        for assignment in response.assignments:
            held = self._held.get(assignment.execution_id)
            if held is not None and held.assignment is not assignment:
                held.assignment = assignment
        seen = {
            execution_id: Seen(held.phase is Phase.ENDED, held.stop is not None, held.named)
            for execution_id, held in self._held.items()
        }
        forgotten: list[Held] = []
        for action in converge(response.assignments, seen, response.seq):
            match action:
                case Start(assignment):
                    self._take_on(assignment)
                case StopIt(execution_id):
                    stop = Stop(cause=Cause.CANCELLED, message="stopped by the orchestrator")
                    self._runner.stop(self._held[execution_id], stop)
                case Forget(execution_id):
                    forgotten.append(self._forget(execution_id))
        if forgotten:
            removal = self._remove(forgotten)
            try:
                self._tasks.create_task(removal)
            except RuntimeError:  # the agent is ending: the next one removes what no journal names
                removal.close()
                raise
            self._shed_jobs()
        self._fill()
        self._settled.set()

    def _note(self, response: SyncResponse) -> None:
        """Journal what the answer says about the orchestrator, and what a full disk did not take before."""
        self._journal.catch_up()
        opened = Opened(
            cluster_id=response.cluster_id,
            session=self._uplink.session,
            lease_seconds=response.lease_seconds,
            fence_seconds=response.fence_seconds,
        )
        if opened != self._opened:
            is_new = not self._opened.cluster_id
            self._opened = opened
            self._journal.note(opened)
            if is_new:
                self._clean_all()
        if response.commit < self._commit:
            log.error("orchestrator_restored", commit=response.commit, seen=self._commit)
        if response.commit != self._commit:
            self._commit = response.commit
            self._journal.note(Committed(commit=response.commit))

    def _take_on(self, assignment: Assignment) -> None:
        """Put a new assignment behind those that wait."""
        if self._leaving.is_set():
            return
        key = (assignment.job_id, assignment.job_version)
        job = self._jobs.get(key)
        if job is None:
            log.error("job_unknown", execution_id=assignment.execution_id, job_id=assignment.job_id)
            return
        if key not in self._needs:
            self._needs[key] = resources(job.task.resources)
        need = self._needs[key] if assignment.resources is None else resources(assignment.resources)
        held = Held(assignment=assignment, job=job, need=need)
        self._held[held.id] = held
        if held.id in self._done:
            self._runner.stop(held, Stop(cause=Cause.AGENT, message="this execution was run here before"))
        elif not self._offer.capacity.holds(held.need):
            self._runner.stop(held, Stop(cause=Cause.AGENT, message="this node is too small for it"))
        else:
            self._backlog.append(held)

    def _fill(self) -> None:
        """Start what waits, in order, as far as there is room."""
        self._start_waiting()
        self.session.tell_backlog(has_backlog=bool(self._backlog))

    def _start_waiting(self) -> None:
        while not self._leaving.is_set():
            held = next((held for held in self._backlog if held.engine not in self._cleaning.going_on), None)
            if held is None:
                return
            if held.phase is Phase.BACKLOG:
                if not self._offer.capacity.holds(self._used.plus(held.need)):
                    return
                self._used = self._used.plus(held.need)
                held.phase = Phase.PREPARING
                held.task = self._tasks.create_task(self._runner.run(held, self._owner()))
            self._backlog.remove(held)

    def changed(self, held: Held, before: Phase) -> None:
        """An execution came from the phase `before` into another: room may be free, and the orchestrator is told."""
        if before.holds_capacity and not held.phase.holds_capacity:
            self._used = self._used.minus(held.need)
            self._fill()
        if held.phase is Phase.ENDED:
            held.task = None
            self._settled.set()
        self.session.changed()

    def _forget(self, execution_id: ExecutionId) -> Held:
        held = self._held.pop(execution_id)
        self._going.add(execution_id)
        self._done[execution_id] = None
        if len(self._done) > REMEMBERED:
            del self._done[next(iter(self._done))]
        if self._journal.knows(execution_id):
            self._journal.note(Forgotten(execution_id=execution_id))
        self._settled.set()
        return held

    async def _remove(self, forgotten: Sequence[Held]) -> None:
        """Remove what is left of them, in the engines and on disk."""
        full: list[ExecutionId] = []
        for held in forgotten:
            keeper = await self._runner.forget(held)
            self._going.discard(held.id)
            if keeper is not None:
                self._cleaning.later(keeper)
            if not self._workdirs.take_back(held.id):
                full.append(held.id)
            await asyncio.sleep(0)
        if full:
            await asyncio.to_thread(self._workdirs.remove, full)

    def _shed_jobs(self) -> None:
        """Let go of specs that nothing here runs, the oldest first, when there are many."""
        if len(self._jobs) <= SPARE_JOBS:
            return
        used = {(held.job.id, held.job.version) for held in self._held.values()}
        for key in [key for key in self._jobs if key not in used][: len(self._jobs) - SPARE_JOBS]:
            del self._jobs[key]
            self._needs.pop(key, None)

    def _owner(self) -> Owner:
        return Owner(cluster_id=self._opened.cluster_id, node_id=self._node_id)

    def _info(self) -> NodeInfo:
        used, queued = Resources(), Resources()
        running = enqueued = 0
        for held in self._held.values():
            if held.phase.holds_capacity:
                used, running = used.plus(held.need), running + 1
            elif held.phase is Phase.BACKLOG:
                queued, enqueued = queued.plus(held.need), enqueued + 1
        load = Load(used=used, running=running, queued=queued, enqueued=enqueued)
        return node_info(self._node_id, self._labels, self._offer, load)

    # The beginning and the end.

    async def _take_up(self) -> None:
        """Have everything that the journal names as far as the engines can tell now, and no work directory beside."""
        self._jobs = dict(self._journal.past.jobs)
        for held in revive(self._journal.past, boot_id(), boot_seconds()):
            self._held[held.id] = held
        with contextlib.suppress(TimeoutError):  # who does not answer in time is asked again, beside the session
            async with asyncio.timeout(self._opened.lease_seconds / 3), asyncio.TaskGroup() as asking:
                for held in self._held.values():
                    if held.phase.holds_capacity:
                        asking.create_task(self._runner.find(held))
        for held in self._held.values():
            if held.phase is not Phase.ENDED:
                if held.phase.holds_capacity:
                    self._used = self._used.plus(held.need)
                held.task = self._tasks.create_task(self._runner.adopt(held))
        await asyncio.to_thread(self._workdirs.remove_others, frozenset(self._held))

    def _clean_all(self) -> None:
        for engine in self._engines.present.values():
            self._cleaning.later(engine)

    async def _keep_session(self) -> None:
        try:
            await self.session.run()
        except UplinkError as error:
            log.error("session_ended", reason=error.message)  # noqa: TRY400 - the reason is the orchestrator's
            self._ended_by = error
            self._leaving.set()

    async def _await_engines(self) -> None:
        """Offer engines that come later, until all that are wanted are there."""
        while self._engines.missing:
            await asyncio.sleep(ENGINES_AGAIN_SECONDS)
            for name in await self._engines.look():
                log.info("engine_found", engine=name)
                self._cleaning.later(self._engines.present[name])
                self._offer = msgspec.structs.replace(self._offer, engines=tuple(self._engines.present))
                self._info_seq = 0
                self.session.changed()

    def _stop_work(self, reason: str) -> None:
        """Have everything end as lost."""
        for held in list(self._held.values()):
            self._runner.stop(held, Stop(cause=Cause.AGENT, message=reason))

    async def _wind_down(self) -> None:
        """Stop all work; while the session lasts, offer nothing more and tell how everything ended."""
        self._offer = msgspec.structs.replace(self._offer, engines=())
        self._info_seq = 0
        self._stop_work(self._ended_by.message if self._ended_by is not None else STOPPED_MESSAGE)
        await self._until(self.is_idle, STOPPING_SECONDS)
        if self._ended_by is None:
            self.session.changed()
            await self._until(self._is_said, LAST_WORD_SECONDS)

    def _is_said(self) -> bool:
        """Whether the orchestrator knows how all ended, or cannot be told."""
        return self.session.is_failing or (not self._held and self._info_seq < 0)

    async def _until(self, holds: Callable[[], bool], seconds: float) -> None:
        """Wait until `holds`, which only an end, a forgotten execution or an answer can bring about, or for `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not holds():
                    self._settled.clear()
                    await self._settled.wait()
