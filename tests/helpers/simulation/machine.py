"""A simulated machine: programs that outlive their agent, a journal, a disk, an engine; and the real agent on it."""

import asyncio
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from node.agent import Agent
from node.capacity import Offer
from node.cleaning import AGAIN_SECONDS
from node.engines.base import EngineError, EngineUnavailableError, Handle, Known, Launch, Outcome, Owner
from node.engines.ending import outcome as outcome_of
from node.environment import Environment
from node.held import Held, Phase
from node.journal import Line
from node.publishers.base import PublishError, Results
from node.runner import Runner
from node.uplink import UplinkError
from orchestrator.contract.agent import SyncResponse
from orchestrator.contract.execution import Cause
from orchestrator.contract.ids import ExecutionId, NodeId
from orchestrator.contract.job import SpecConfig
from orchestrator.contract.node import Resources
from tests.helpers.simulation.journal import SimJournal
from tests.helpers.simulation.timeline import Process

if TYPE_CHECKING:
    from tests.helpers.simulation.world import World

UNKNOWN = Outcome(exit_code=None, cause=Cause.AGENT, message="nobody can tell how it ended")


class Program(msgspec.Struct, kw_only=True, eq=False):
    """A program on a machine, or what its engine still knows of it."""

    launch: Launch
    parent: Process
    exit_code: int
    is_running: bool = True
    ended_unwatched: bool = False
    """Ended while no agent was there to see it."""
    waiters: list[tuple[Process, "asyncio.Future[None]"]] = []


class Machine:
    """What a node's name stands for, whoever's agent runs on it. `keeps_codes` = its engine can tell how a program ended."""

    def __init__(self, world: "World", name: str, capacity: Resources, *, keeps_codes: bool) -> None:
        self.world = world
        self.name = NodeId(name)
        self.capacity = capacity
        self.keeps_codes = keeps_codes
        self.boot = world.new_id()
        self.journal: list[Line] = []
        self.directories: set[str] = set()
        self.programs: dict[ExecutionId, Program] = {}
        self.process: Process | None = None
        self.agent: Agent | None = None
        self.began = 0.0
        self.heard = 0.0
        """When the sync was sent whose answer came last while it counted."""
        self.woken = 0.0
        """When its agent was thawed last: an agent that was frozen needs a moment to see the time."""
        self.is_disk_full = False
        self.is_engine_away = False
        self.cleans_by = 0.0
        """Until then an agent may not have removed strangers: its engine was away, and is asked again every while."""
        self.is_wanted = True
        """Whether somebody starts its agent again when it ends."""
        self.is_gone = False
        """Taken away: no agent starts there any more."""
        self.is_leaving = False
        self.applied = 0
        """Seq of the last answer that its agent took."""
        self.sent: dict[int, float] = {}
        """When it sent each sync of its session."""

    @property
    def is_alive(self) -> bool:
        """Whether its agent runs and is not frozen."""
        return self.process is not None and not self.process.is_dead and not self.process.is_frozen

    def running(self) -> list[Program]:
        """Programs that run now."""
        return [program for program in self.programs.values() if program.is_running]

    def engine_returns(self) -> None:
        """The engine can be asked again."""
        if self.is_engine_away:
            self.is_engine_away = False
            self.woken = self.world.time.now
            self.cleans_by = self.world.time.now + AGAIN_SECONDS + 1

    def start_agent(self) -> None:
        """Start the agent, as a supervisor does. Nothing happens while one runs or there is no room for its journal."""
        if (self.process is not None and not self.process.is_dead) or self.is_disk_full or self.is_gone:
            return
        process = Process(self.world.time, self.name)
        process.machine = self  # type: ignore[attr-defined] # for whoever asks which machine this is
        self.process = process
        self.is_leaving = False
        self.began = self.heard = self.world.time.now
        process.begin(self._serve(process), self.agent_ended)

    async def _serve(self, process: Process) -> None:
        """Wire the agent as its `__main__` does, and run it."""
        engine = SimEngine(self, process)
        journal = SimJournal(self, process)
        uplink = SimUplink(self, process, self.world.new_id())
        workdirs = SimWorkDirectories(self)

        def changed(held: Held, before: Phase) -> None:
            agent.changed(held, before)

        runner = Runner(
            engines=cast("Any", engine),
            inputs={},
            publishers={"orchestrator": cast("Any", SimPublisher(self))},
            environment=Environment(self.name, {}, ()),
            journal=cast("Any", journal),
            shipper=cast("Any", NoShipper()),
            workdirs=cast("Any", workdirs),
            output_limit=1 << 30,
            changed=changed,
        )
        runner.watch._running = cast("Any", Ordered())
        self.agent = agent = Agent(
            node_id=self.name,
            labels={"os_type": "linux", "os_arch": "amd64", "name": self.name},
            offer=Offer(engines=("process",), publishers=("orchestrator",), sources=(), capacity=self.capacity),
            engines=cast("Any", engine),
            runner=runner,
            journal=cast("Any", journal),
            uplink=cast("Any", uplink),
            workdirs=cast("Any", workdirs),
        )
        self.applied = 0
        self.sent.clear()
        apply = agent.apply

        def watched(response: SyncResponse) -> None:
            self.world.oracle.applies(self, response)
            apply(response)

        agent.apply = watched  # type: ignore[method-assign] # the oracle looks at what the agent does
        await agent.run()

    def agent_ended(self, reason: BaseException | None) -> None:
        """The agent ended by itself: told to leave, refused, or its disk is full."""
        self.agent = None
        error: BaseException | None = reason
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if error is not None and not isinstance(error, (UplinkError, OSError)):
            import traceback

            text = "".join(traceback.format_exception(error))
            self.world.time.problems.append(f"the agent of {self.name} ended: {text}")
        if error is None and not self.is_leaving:
            self.world.time.problems.append(f"the agent of {self.name} ended without a reason")
        if self.is_wanted:
            self.world.time.later(self.world.rng.uniform(0.5, 5.0), self.start_agent)

    def kill_agent(self) -> None:
        """kill -9: its programs run on."""
        self.agent = None
        if self.process is not None:
            self.process.kill()

    def reboot(self) -> None:
        """The machine goes down: programs are gone, and the end of the journal may never have reached the disk."""
        self.kill_agent()
        for program in self.running():
            self.end_program(program, UNKNOWN_CODE)
        self.programs.clear()
        self.boot = self.world.new_id()
        if self.world.rng.random() < 0.5:
            del self.journal[max(0, len(self.journal) - self.world.rng.randrange(6)) :]

    def end_program(self, program: Program, exit_code: int | None = None) -> None:
        """A program ends, by itself or because it was killed."""
        if not program.is_running:
            return
        program.is_running = False
        if exit_code is None:
            self.world.oracle.finished(program.launch.execution_id, program.exit_code)
        else:
            program.exit_code = exit_code
        watched = [
            (process, future) for process, future in program.waiters if not process.is_dead and not future.done()
        ]
        program.ended_unwatched = not watched
        for _, future in watched:
            future.set_result(None)
        for process, _ in watched:
            process.drain()


UNKNOWN_CODE = 137


class Ordered(dict[Any, None]):
    """A set that is walked in the order of additions, so that a history can be played again."""

    def add(self, item: Any) -> None:
        """Add it."""
        self[item] = None

    def discard(self, item: Any) -> None:
        """Remove it, if it is there."""
        self.pop(item, None)


class NoShipper:
    """Programs here write nothing."""

    async def ship_rest(self, execution_id: ExecutionId, output: Any) -> None:
        """Nothing is left."""


class SimWorkDirectories:
    """`node.workdirs.WorkDirectories` of which only the names exist."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def of(self, execution_id: ExecutionId) -> Path:
        """Where it would be."""
        return Path("/executions", execution_id)

    def make(self, execution_id: ExecutionId, _: Any) -> tuple[Any, ...]:
        """Make a work directory. Raises OSError on a full disk, FileExistsError when it is there."""
        if self._machine.is_disk_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if execution_id in self._machine.directories:
            raise FileExistsError(execution_id)
        self._machine.directories.add(execution_id)
        return ()

    def take_back(self, execution_id: ExecutionId) -> bool:
        """Every second time there is something in it."""
        is_full = execution_id in self._machine.directories and execution_id[-1] in "02468ace"
        if not is_full:
            self._machine.directories.discard(execution_id)
        return not is_full

    def remove(self, executions: list[ExecutionId]) -> None:
        """Remove work directories."""
        self._machine.directories.difference_update(executions)

    def remove_others(self, known: frozenset[ExecutionId]) -> None:
        """Remove what no agent knows."""
        self._machine.directories.intersection_update(known)


class SimUplink:
    """`node.uplink.Uplink` over the simulated network."""

    orchestrator = "simulated"

    def __init__(self, machine: Machine, process: Process, session: str) -> None:
        self._machine = machine
        self._process = process
        self.session = session

    async def sync(self, request: Any, patience: float) -> Any:
        """One sync."""
        return await self._machine.world.network.call(self._machine, self._process, request, patience)


class SimPublisher:
    """Stores results by asking whether they are still wanted, as the real one's orchestrator does."""

    name = "orchestrator"

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def publish(self, results: Results, publisher: SpecConfig) -> SpecConfig:
        """Takes a while; fails where the orchestrator does not want it, or chance has it so."""
        world = self._machine.world
        await asyncio.sleep(world.rng.uniform(0.01, 2.0))
        if not world.wants_result(results.execution_id) or world.rng.random() < world.failing_share:
            message = "refused"
            raise PublishError(message)
        return SpecConfig(type=publisher.type, params={"URL": "simulated"})


class SimEngine:
    """Both what the agent knows as its engines and the one engine: programs that end when their time has come."""

    name = "process"
    is_server = True
    missing: tuple[str, ...] = ()

    def __init__(self, machine: Machine, process: Process) -> None:
        self._machine = machine
        self._process = process
        self.present = {"process": self}

    async def look(self) -> tuple[str, ...]:
        """Nothing comes later."""
        return ()

    async def start(self, launch: Launch) -> Handle:
        """Start it; between intent and start, and between start and answer, the agent may be killed."""
        machine, world = self._machine, self._machine.world
        await asyncio.sleep(0.002)
        if machine.is_engine_away:
            raise EngineError(Cause.AGENT, "the engine does not answer")
        if world.rng.random() < world.failing_share:
            raise EngineError(world.rng.choice([Cause.IMAGE_PULL, Cause.EXIT]), "not started", 127)
        if self._process.is_dead:
            raise asyncio.CancelledError
        world.oracle.started(machine, launch)
        seconds, code = world.fate(launch.execution_id)
        program = Program(launch=launch, parent=self._process, exit_code=code, waiters=[])
        machine.programs[launch.execution_id] = program
        world.time.later(seconds, machine.end_program, program)
        world.oracle.holds_capacity(machine)
        try:
            await asyncio.sleep(0.002)
        except asyncio.CancelledError:
            if not self._process.is_dead:
                self._remove(launch.execution_id)
            raise
        return Handle(facts={"program": launch.execution_id})

    async def wait(self, launch: Launch, handle: Handle) -> Outcome:
        """Wait for its end. A bare process that is not this agent's child ends without a code."""
        del handle
        program = self._machine.programs.get(launch.execution_id)
        if program is None:
            return UNKNOWN
        if program.is_running:
            future = self._process.create_future()
            waiter = (self._process, future)
            program.waiters.append(waiter)
            try:
                await future
            finally:
                program.waiters.remove(waiter)
        if not self._machine.keeps_codes and program.parent is not self._process:
            return UNKNOWN
        return outcome_of(program.exit_code)

    async def stop(self, launch: Launch, handle: Handle, grace: float) -> None:
        """End it: some programs end at once when asked, others have to be killed."""
        del handle
        program = self._machine.programs.get(launch.execution_id)
        if program is None or self._process.is_dead:
            return
        if self._machine.world.rng.random() < 0.3:
            await asyncio.sleep(grace)
        if not self._process.is_dead:
            self._machine.end_program(program, 143)

    async def adopt(self, launch: Launch, handle: Handle | None) -> Handle | None:
        """What is left of it after a restart of the agent."""
        if self._machine.is_engine_away:
            message = "restarting"
            raise EngineUnavailableError(message)
        program = self._machine.programs.get(launch.execution_id)
        if program is None:
            return None
        if not self._machine.keeps_codes and (handle is None or not program.is_running):
            if not self._process.is_dead:
                self._remove(launch.execution_id)
            return None
        return Handle(facts={"program": launch.execution_id})

    async def forget(self, launch: Launch, handle: Handle) -> None:
        """Remove what is left of it."""
        del handle
        if self._machine.is_engine_away:
            message = "restarting"
            raise EngineUnavailableError(message)
        if not self._process.is_dead:
            self._remove(launch.execution_id)

    async def remove_strangers(self, owner: Owner, known: Known) -> list[ExecutionId]:
        """End everything of this owner that the agent does not know."""
        await asyncio.sleep(0.01)
        if self._machine.is_engine_away:
            message = "restarting"
            raise EngineUnavailableError(message)
        if self._process.is_dead:
            return []
        strangers = [
            execution_id
            for execution_id, program in self._machine.programs.items()
            if program.launch.owner == owner and execution_id not in known()
        ]
        for execution_id in strangers:
            self._remove(execution_id)
        return strangers

    def _remove(self, execution_id: ExecutionId) -> None:
        program = self._machine.programs.pop(execution_id, None)
        if program is not None:
            self._machine.end_program(program, UNKNOWN_CODE)
