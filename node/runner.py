"""One execution's life: work directory, inputs, engine, log, results, end. In this order, and each once."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import structlog

from node.clock import boot_id, boot_seconds
from node.engines.base import Engine, EngineError, EngineUnavailableError, Launch, Mount, Outcome, Owner
from node.environment import Environment, VariableError
from node.held import Held, Phase, Stop
from node.inputs.base import InputError, InputSource
from node.inputs.contents import contents
from node.journal import Ended, Finished, Intended, Journal, Specified, Started
from node.outcome import conclude, state_of
from node.present import Engines
from node.publishers.base import Publisher, PublishError, Results
from node.shipping import Shipper
from node.streams import Output
from node.watch import Watch, too_much_output
from node.workdirs import WorkDirectories
from orchestrator.contract.agent import End
from orchestrator.contract.execution import Cause
from orchestrator.contract.job import SpecConfig

log = structlog.get_logger()

GRACE_SECONDS = 5.0
"""What a program has between being asked to end and being killed."""
PUBLISH_SECONDS = 600.0
TROUBLE_SECONDS = 3.0
"""How long an execution that this node could not start keeps its place."""
ASK_AGAIN_SECONDS = 2.0
"""Between tries to reach an engine that does not answer after a restart."""
NOT_FOUND = "the agent was restarted, and how this execution ended cannot be told"


class Runner:
    """Runs executions of one node. `run` is the body of an execution's task; whoever wants it ended calls `stop`."""

    def __init__(  # noqa: PLR0913 - everything that an execution meets
        self,
        *,
        engines: Engines,
        inputs: Mapping[str, InputSource],
        publishers: Mapping[str, Publisher],
        environment: Environment,
        journal: Journal,
        shipper: Shipper,
        workdirs: WorkDirectories,
        output_limit: int,
        changed: Callable[[Held, Phase], None],
    ) -> None:
        self._engines = engines
        self._inputs = inputs
        self._publishers = publishers
        self._environment = environment
        self._journal = journal
        self._shipper = shipper
        self._workdirs = workdirs
        self._output_limit = output_limit
        self._changed = changed
        self._boot = boot_id()
        self.watch = Watch(shipper, self.stop, output_limit)

    def stop(self, held: Held, stop: Stop) -> None:
        """Have it end, for the first reason given. Returns at once."""
        if held.stop is not None or held.phase is Phase.ENDED:
            return
        if held.phase is Phase.BACKLOG:
            cause = Cause.WITHDRAWN if stop.cause is Cause.CANCELLED else stop.cause
            held.stop = Stop(cause=cause, message=stop.message)
            self._end(held, conclude(held, held.stop, None))
            return
        held.stop = stop
        if held.task is not None and held.is_entered:
            held.task.cancel()

    async def run(self, held: Held, owner: Owner) -> None:
        """From its start to its end. Cancelled without a stop: leaves it running, to be adopted."""
        await self._live(held, owner)

    async def adopt(self, held: Held) -> None:
        """Go on with an execution of the agent before this one, as far as its journal tells. Ends like `run`.

        A stop waits until the engine has said what is left: before, nobody knows whether it runs.
        """
        await self._live(held, None)

    async def find(self, held: Held) -> bool:
        """Ask the engine about an execution that the journal names: it has a handle afterwards, or an outcome, lost.

        False = the engine cannot be asked now, and nothing is known.
        """
        if held.outcome is not None:
            return True
        assert held.launch is not None
        engine = self._engine(held)
        if engine is None and held.engine in self._engines.missing:
            return False
        try:
            handle = await engine.adopt(held.launch, held.handle) if engine is not None else None
        except EngineUnavailableError as error:
            log.warning("engine_unavailable", execution_id=held.id, reason=str(error))
            return False
        if handle is None:
            held.outcome = Outcome(exit_code=None, cause=Cause.AGENT, message=NOT_FOUND)
            return True
        held.handle = handle
        if held.started is None:
            held.started = boot_seconds()
            self._journal.note(Started(execution_id=held.id, handle=handle, at=held.started, boot=self._boot))
        return True

    async def forget(self, held: Held) -> Engine | None:
        """Remove what is left of an ended execution in its engine. Its work directory stays. Never raises.

        The engine, if it could not do so.
        """
        engine = self._engine(held)
        if held.launch is not None and held.handle is not None and engine is not None:
            try:
                await engine.forget(held.launch, held.handle)
            except (EngineError, EngineUnavailableError, OSError) as error:
                log.warning("engine_keeps_remains", execution_id=held.id, reason=str(error))
                return engine
        return None

    def _engine(self, held: Held) -> Engine | None:
        return self._engines.present.get(held.engine)

    async def _live(self, held: Held, owner: Owner | None) -> None:
        """The whole life: begin it or find it again (`owner` None), wait for its engine, store what it leaves, report its end."""
        cut = None
        published = None
        try:
            try:
                if owner is None:
                    await self._find_again(held)
                held.is_entered = True
                cut = held.stop
                if cut is not None:
                    await self._halt(held)
                else:
                    if owner is not None:
                        await self._launch(held, owner)
                    await self._await_engine(held)
            except asyncio.CancelledError:
                cut = self._taken(held)
                await self._halt(held)
            finally:
                self.watch.remove(held)
            if held.output is not None:
                cut = self._last_look(held, cut)
                published, cut = await self._store(held, cut)
        except Exception as error:
            if isinstance(error, OSError):  # the machine's trouble, such as a full disk
                log.error("execution_broke", execution_id=held.id, reason=str(error))  # noqa: TRY400 - no bug
            else:
                log.exception("execution_broke", execution_id=held.id)
            cut = Stop(cause=Cause.AGENT, message=f"the agent could not go on with it: {error}")
            await self._halt_anyhow(held)
        self._end(held, conclude(held, cut, published))

    async def _find_again(self, held: Held) -> None:
        if held.launch is not None:
            await self._look_at_inputs(held, held.launch)
        while not await self.find(held):  # noqa: ASYNC110 - nobody tells when an engine is back
            await asyncio.sleep(ASK_AGAIN_SECONDS)

    async def _launch(self, held: Held, owner: Owner) -> None:
        """Prepare and start; afterwards `outcome` is set if that failed."""
        engine = self._engine(held)
        if engine is None:
            held.outcome = Outcome(
                exit_code=None, cause=Cause.AGENT, message=f"this node has no engine {held.job.task.engine.type}"
            )
            return
        directory = self._workdirs.of(held.id)
        try:
            launch = await self._prepare(held, owner, directory)
            await self._look_at_inputs(held, launch)
        except (InputError, VariableError) as error:
            held.outcome = Outcome(exit_code=None, cause=Cause.INPUT, message=str(error))
            return
        except OSError as error:
            message = f"work directory {directory}: {error.strerror or error}"
            await self._not_started(held, Outcome(exit_code=None, cause=Cause.AGENT, message=message))
            return
        try:
            self._journal.append(Specified(job=held.job))
            kept = msgspec.structs.replace(launch, environment={})  # secrets are in it, and only its start needs it
            self._journal.append(Intended(assignment=held.assignment, launch=kept))
        except OSError as error:
            message = f"the agent's journal: {error.strerror or error}"
            await self._not_started(held, Outcome(exit_code=None, cause=Cause.AGENT, message=message))
            return
        held.launch = launch
        try:
            held.handle = await engine.start(launch)
        except EngineError as error:
            outcome = Outcome(exit_code=error.exit_code, cause=error.cause, message=error.message)
            await self._not_started(held, outcome)
            return
        held.started = boot_seconds()
        self._journal.note(
            Started(execution_id=held.id, handle=held.handle, at=held.started, boot=self._boot),
        )

    async def _not_started(self, held: Held, outcome: Outcome) -> None:
        """It did not start. Where the node is to blame, its place is free only after a while: a full disk eats no job."""
        if outcome.cause is Cause.AGENT:
            await asyncio.sleep(TROUBLE_SECONDS)
        held.outcome = outcome

    async def _prepare(self, held: Held, owner: Owner, directory: Path) -> Launch:
        """Make the work directory and have the inputs ready. Raises InputError, VariableError, OSError."""
        task = held.job.task
        outputs = self._workdirs.make(held.id, task.result_paths)
        inputs: list[Mount] = []
        for number, wanted in enumerate(task.input_sources):
            source = self._inputs.get(wanted.source.type.lower())
            if source is None:
                message = f"input {wanted.target}: this node has no input source {wanted.source.type}"
                raise InputError(message)
            inputs.append(await source.prepare(wanted, directory / "inputs" / str(number)))
        return Launch(
            execution_id=held.id,
            owner=owner,
            engine=task.engine,
            need=held.need,
            network=task.network,
            environment=self._environment.of(held.job, held.assignment),
            inputs=tuple(inputs),
            outputs=outputs,
            directory=directory,
            stdout=directory / "stdout",
            stderr=directory / "stderr",
        )

    async def _look_at_inputs(self, held: Held, launch: Launch) -> None:
        """Note what it finds as inputs."""
        if launch.inputs:
            held.inputs = await asyncio.to_thread(contents, launch.inputs)

    async def _await_engine(self, held: Held) -> None:
        """Wait for what was started; afterwards `outcome` is set."""
        if held.outcome is not None:
            return
        engine = self._engine(held)
        assert engine is not None
        assert held.launch is not None
        assert held.handle is not None
        held.output = held.output or Output.at(held.launch.stdout, held.launch.stderr)
        self._enter(held, Phase.RUNNING)
        self.watch.add(held)
        held.outcome = await engine.wait(held.launch, held.handle)

    def _taken(self, held: Held) -> Stop:
        """The reason of a cancellation that came from `stop`; any other goes on."""
        task = asyncio.current_task()
        assert task is not None
        if held.stop is None or not held.is_entered or task.uncancel() > 0:
            raise asyncio.CancelledError
        return held.stop

    async def _halt(self, held: Held) -> None:
        """Stop the engine if it runs."""
        engine = self._engine(held)
        if held.outcome is None and held.launch is not None and held.handle is not None and engine is not None:
            await engine.stop(held.launch, held.handle, GRACE_SECONDS)
            held.outcome = await engine.wait(held.launch, held.handle)

    async def _halt_anyhow(self, held: Held) -> None:
        """Stop the engine of an execution that broke, if that can be done."""
        try:
            await self._halt(held)
        except Exception:
            log.exception("execution_not_stopped", execution_id=held.id)

    def _last_look(self, held: Held, cut: Stop | None) -> Stop | None:
        """See how long the output became; what cut the execution short, its output included."""
        assert held.output is not None
        assert held.started is not None
        if held.run_seconds is None:
            held.run_seconds = max(0.0, boot_seconds() - held.started)
        held.output.look(held.run_seconds)
        return cut or too_much_output(held, self._output_limit)

    async def _store(self, held: Held, cut: Stop | None) -> tuple[SpecConfig | None, Stop | None]:
        """Store results and log; gives where the results are, and what cut the execution short, publishing included."""
        assert held.output is not None
        assert held.outcome is not None
        assert held.run_seconds is not None
        is_published = cut is None and held.outcome.cause is None and bool(held.job.task.publisher.type)
        published = None
        if is_published or held.output.has_rest:
            self._journal.note(Finished(execution_id=held.id, outcome=held.outcome, run_seconds=held.run_seconds))
            self._enter(held, Phase.PUBLISHING)
        if is_published:
            try:
                published = await self._publish(held)
            except PublishError as error:
                cut = Stop(cause=Cause.PUBLISH, message=f"failed to publish result: {error.message}")
            except asyncio.CancelledError:
                cut = self._taken(held)
        try:
            await self._shipper.ship_rest(held.id, held.output)
        except asyncio.CancelledError:
            self._taken(held)
        return published, cut

    async def _publish(self, held: Held) -> SpecConfig:
        """Store the results. Raises PublishError, also after ten minutes."""
        wanted = held.job.task.publisher
        publisher = self._publishers.get(wanted.type.lower())
        if publisher is None:
            message = f"this node has no publisher {wanted.type}"
            raise PublishError(message)
        assert held.launch is not None
        assert held.outcome is not None
        results = Results(
            execution_id=held.id,
            index=held.assignment.index,
            stdout=held.launch.stdout,
            stderr=held.launch.stderr,
            exit_code=held.outcome.exit_code or 0,
            outputs=tuple(
                (result.name, mount.source)
                for result, mount in zip(held.job.task.result_paths, held.launch.outputs, strict=True)
            ),
            directory=held.launch.directory,
        )
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                return await publisher.publish(results, wanted)
        except TimeoutError as error:
            message = f"not stored within {PUBLISH_SECONDS:.0f} s"
            raise PublishError(message) from error

    def _enter(self, held: Held, phase: Phase) -> None:
        before, held.phase = held.phase, phase
        self._changed(held, before)

    def _end(self, held: Held, end: End) -> None:
        """It has ended: on disk first, then told."""
        held.end = end
        held.state = state_of(end.cause)
        held.ended = boot_seconds()
        if self._journal.knows(held.id):
            self._journal.note(Ended(execution_id=held.id, state=held.state, end=end, at=held.ended, boot=self._boot))
        self._enter(held, Phase.ENDED)
