"""The `process` engine: programs of the node itself, inside bubblewrap where that is installed, else bare.

A bare program sees the whole machine; its inputs and results lie in the work directory. What an execution started is found
again by its environment (`BACALHAU_EXECUTION_ID`, `SHOAL_OWNER`), also by an agent that did not start it.
"""

import asyncio
import contextlib
import errno
import functools
import hashlib
import os
import signal
import time
from pathlib import Path

import msgspec

from node.engines import cgroup, procfs
from node.engines.base import EngineError, Handle, Known, Launch, Outcome, Owner
from node.engines.bubblewrap import Bubblewrap, Status, last_line, read_status
from node.engines.ending import outcome
from node.engines.ends import Ends
from node.engines.layout import Layout, bare_layout
from node.engines.ports import Ports, variables
from node.engines.spawn import spawn
from node.engines.still import still
from orchestrator.contract.execution import Cause
from orchestrator.contract.ids import ExecutionId
from orchestrator.contract.job import SpecConfig
from orchestrator.contract.params import ParamsError, ProcessParams, process_params

EXECUTION, OWNER = "BACALHAU_EXECUTION_ID", "SHOAL_OWNER"
FIRST_LOOK, SAMPLE = 0.1, 1.0
"""Seconds until an execution's memory is limited (a cgroup costs more than a short program), and between looks at it
where the kernel does not keep the limit.
"""
SWEEP, SWEEPS_SHARE = 0.25, 0.05
"""Seconds until what ended bare programs left is looked for, at least, and the share of the time that this may take."""
KILLED, NOT_STARTED = 137, 1
"""Exit codes: of a program that was killed; of a bubblewrap that wrote none down, because it could not start the program."""
OURS = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC)
"""What the machine, not the program, lacks when a start fails."""
NETWORKS = ("", "Default", "None", "Host", "Full")


class Guard(msgspec.Struct, eq=False):
    """What keeps the memory of an execution limited."""

    task: asyncio.Task[None] | None = None
    """Not begun, for executions that end at once."""
    is_over: bool = False
    """Whether it used too much, and was ended."""


class ProcessEngine:
    """Runs host programs, inside `bubblewrap` if it is given. `data_directory` is the agent's."""

    name = "process"
    is_server = False

    def __init__(self, data_directory: Path, bubblewrap: Bubblewrap | None, ports: Ports | None = None) -> None:
        self._bubblewrap = bubblewrap
        self._ports = ports or Ports()
        self._own: set[int] = set()  # children not reaped yet: their pids cannot be others'
        self._left: set[ExecutionId] = set()  # ended, but what they put into sessions of its own may go on
        self._sweeper: asyncio.Task[None] | None = None
        self._swept = asyncio.Event()
        """Set at the end of the sweep that goes on or comes next."""
        self._parsed: tuple[SpecConfig, ProcessParams] | None = None
        self._mark = hashlib.sha256(bytes(data_directory)).hexdigest()[:12]
        self._groups = cgroup.parent("shoal")
        self._grouped: set[ExecutionId] = set()
        """Executions that may have a memory cgroup."""
        self._ends = Ends()

    async def start(self, launch: Launch) -> Handle:
        """Start the program. Causes: EXIT with 127 or 126, INPUT for a network that a process cannot have."""
        if launch.network.type not in NETWORKS:
            allowed = "Default, None, Host, Full"
            message = f'Network.Type "{launch.network.type}": not possible with the process engine; allowed: {allowed}'
            raise EngineError(Cause.INPUT, message)
        try:
            return self._begin(launch)
        except (EngineError, ParamsError, OSError) as error:
            self._ports.give_back(launch.execution_id)
            if isinstance(error, ParamsError | OSError):
                cause = Cause.INPUT if isinstance(error, ParamsError) else Cause.AGENT
                raise EngineError(cause, f"{launch.execution_id}: {error}") from error
            raise

    def _begin(self, launch: Launch) -> Handle:
        layout = self._layout(launch)
        before = procfs.ticks_now()
        pid = self._spawn(launch, layout)
        self._own.add(pid)
        is_told = procfs.ticks_now() == before  # then it began in this very tick, and /proc need not be asked
        started = str(before) if is_told else procfs.start_time(pid) or ""
        facts = {"pid": str(pid), "started": started, "boot": procfs.boot_id()}
        if layout.status is not None:
            facts["sandbox"] = "bubblewrap"
        return Handle(facts=facts)

    def _layout(self, launch: Launch) -> Layout:
        if self._parsed is None or self._parsed[0] is not launch.engine:  # the same for all partitions of a job
            self._parsed = launch.engine, process_params(launch.engine)
        params = self._parsed[1]
        is_networked = launch.network.type in {"Host", "Full"}
        ports = self._ports.take(launch.execution_id, launch.network.ports if is_networked else ())
        environment = {
            **launch.environment,
            **params.environment,
            **variables(ports),
            EXECUTION: launch.execution_id,
            OWNER: f"{launch.owner.cluster_id}/{launch.owner.node_id}",
        }
        arguments = [params.command, *params.arguments]
        if self._bubblewrap is None:
            return bare_layout(launch, arguments, environment, params.working_directory)
        return self._bubblewrap.layout(launch, arguments, environment, params.working_directory)

    def _spawn(self, launch: Launch, layout: Layout) -> int:
        status = None
        try:
            if layout.status is not None:
                status = os.open(layout.status, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            start = functools.partial(
                spawn,
                layout.program,
                layout.arguments,
                layout.environment,
                directory=layout.directory,
                stdout=launch.stdout,
                stderr=launch.stderr,
                keep=status,
            )
            return start() if status is None else still().start(start)
        except OSError as error:
            message = f"{layout.program}: cannot be run: {error.strerror}"
            if error.errno in OURS:
                raise EngineError(Cause.AGENT, message) from error
            raise EngineError(Cause.EXIT, message, 127 if error.errno == errno.ENOENT else 126) from error
        finally:
            if status is not None:
                os.close(status)

    async def wait(self, launch: Launch, handle: Handle) -> Outcome:
        """Wait for the end of the program; what it left running is ended with it."""
        pid = int(handle.facts["pid"])
        is_over = await self._ended(launch, handle)
        group = self._group(launch)
        is_sandboxed = "sandbox" in handle.facts
        status = read_status(launch.directory) if is_sandboxed else Status()
        code = status.exit_code
        if status.child_pid is not None:
            await self._end_sandbox(launch, status.child_pid)
        if not is_sandboxed and _is_child(pid):
            _end_session(pid)
            self._sweep_later(launch.execution_id)
        elif code is None:
            await self._kill(launch.execution_id, None, group)
        if group is not None:
            if cgroup.members(group):
                await self._kill(launch.execution_id, None, group)
            is_over = is_over or cgroup.has_exceeded(group)
        own = _reap(pid)
        self._own.discard(pid)
        if code is None and own == NOT_STARTED and is_sandboxed and not is_over:
            return _not_started(last_line(launch.stderr))
        code = own if code is None else code
        if code is None and not is_over:
            message = "it ended while nobody watched: its exit code is not known"
            return Outcome(exit_code=None, cause=Cause.AGENT, message=message)
        return outcome(KILLED if code is None else code, is_out_of_memory=is_over)

    async def _ended(self, launch: Launch, handle: Handle) -> bool:
        """Return when the leader has ended: whether its memory had to be limited from here."""
        descriptor = self._open(handle)
        if descriptor is None:
            return False
        loop, guard = asyncio.get_running_loop(), Guard()

        def begin() -> None:
            guard.task = loop.create_task(self._keep_limited(launch, int(handle.facts["pid"]), guard))

        timer = loop.call_later(FIRST_LOOK, begin) if launch.need.memory else None
        try:
            await self._ends.of(descriptor)
        finally:
            os.close(descriptor)
            if timer is not None:
                timer.cancel()
            if guard.task is not None and not guard.task.cancel():
                guard.task.result()
        return guard.is_over

    async def _keep_limited(self, launch: Launch, pid: int, guard: Guard) -> None:
        """Have the kernel limit its memory, or where it cannot look at it every second and end it when it is too much."""
        self._grouped.add(launch.execution_id)
        while not await asyncio.to_thread(self._limit, launch, pid):
            if await asyncio.to_thread(procfs.memory, pid, launch.need.memory) > launch.need.memory:
                guard.is_over = True
                await self._kill(launch.execution_id, pid, self._group(launch))
                return
            await asyncio.sleep(SAMPLE)

    def _limit(self, launch: Launch, pid: int) -> bool:
        """Have the kernel limit the memory of a running execution, from now on. False = it cannot. Blocks."""
        if self._groups is None:
            return False
        group = self._place(self._groups, launch)
        if group.exists():
            return True
        try:
            cgroup.create(group, launch.need.memory)
        except OSError:
            return False
        return cgroup.enter(group, pid)

    def _group(self, launch: Launch) -> Path | None:
        """The memory cgroup of an execution, if it has one."""
        if launch.execution_id not in self._grouped or self._groups is None:
            return None
        group = self._place(self._groups, launch)
        return group if group.exists() else None

    def _place(self, groups: Path, launch: Launch) -> Path:
        """Its name tells the agent: so what an agent that was killed left can be told from what others use."""
        return groups / f"{self._mark}-{launch.execution_id}"

    def _open(self, handle: Handle) -> int | None:
        """A pidfd of the process that the handle names, None when that is gone."""
        pid = int(handle.facts["pid"])
        descriptor = _pidfd(pid)
        if descriptor is not None and pid not in self._own and not _is_there(handle):
            os.close(descriptor)
            return None
        return descriptor

    def _sweep_later(self, execution: ExecutionId) -> None:
        """End what a bare program left in sessions of their own, by a look at all processes of the machine for many at once."""
        self._left.add(execution)
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep_while_any())

    async def _sweep_while_any(self) -> None:
        pause = SWEEP
        while self._left:
            await asyncio.sleep(pause)
            began = time.monotonic()
            await self._sweep()
            pause = max(SWEEP, (time.monotonic() - began) / SWEEPS_SHARE)
        self._sweeper = None

    async def _sweep(self) -> None:
        left = frozenset(self._left)
        found = await asyncio.to_thread(procfs.started_with, EXECUTION)
        victims = [pid for pid, environment in found.items() if environment[EXECUTION] in left]
        procfs.send(victims, signal.SIGKILL)
        for victim in victims:
            await self._ends.of_pid(victim)
        self._left -= left
        self._swept.set()
        self._swept = asyncio.Event()

    async def _end_sandbox(self, launch: Launch, first: int) -> None:
        """End what is left in a sandbox whose monitor has ended: with its first process all others end."""
        if procfs.is_started_with(first, EXECUTION, launch.execution_id):
            procfs.send([first], signal.SIGKILL)
            await self._ends.of_pid(first)

    async def stop(self, launch: Launch, handle: Handle, grace: float) -> None:
        """SIGTERM to each of its processes, after `grace` seconds SIGKILL to what is left, wherever it went."""
        descriptor = self._open(handle)
        pid, group = int(handle.facts["pid"]), self._group(launch)
        if descriptor is not None:
            try:
                found = await asyncio.to_thread(self._members, launch.execution_id, pid, group)
                monitor = {pid} if "sandbox" in handle.facts else set()
                procfs.send(found - monitor, signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(grace):
                        await self._ends.of(descriptor)
            finally:
                os.close(descriptor)
        await self._kill(launch.execution_id, pid if descriptor is not None else None, group)

    def _members(self, execution: ExecutionId, pid: int | None, group: Path | None) -> set[int]:
        """All living processes of an execution: by descent from `pid`, by environment, by cgroup."""
        found = set(procfs.started_with(EXECUTION, execution))
        if pid is not None:
            found |= procfs.tree(pid)
        if group is not None:
            found |= cgroup.members(group)
        return {pid for pid in found if procfs.is_alive(pid)}

    async def _kill(self, execution: ExecutionId, pid: int | None, group: Path | None) -> None:
        """End all processes of an execution; return when none is left.

        `pid`, the first of them, goes last: a sandbox's monitor writes down how it ended.
        """
        while found := await asyncio.to_thread(self._members, execution, pid, group):
            victims = found - {pid} or found
            procfs.send(victims, signal.SIGKILL)
            for victim in victims:
                await self._ends.of_pid(victim)

    async def adopt(self, launch: Launch, handle: Handle | None) -> Handle | None:
        """Go on with what runs, or has ended and left its exit code; else end what is left of it."""
        self._grouped.add(launch.execution_id)
        if handle is not None:
            has_told = "sandbox" in handle.facts and read_status(launch.directory).exit_code is not None
            if has_told or (_is_there(handle) and procfs.is_alive(int(handle.facts["pid"]))):
                return handle
        group = self._group(launch)
        await self._kill(launch.execution_id, None, group)
        if group is not None:
            cgroup.remove(group)
        self._grouped.discard(launch.execution_id)
        return None

    async def forget(self, launch: Launch, handle: Handle) -> None:  # noqa: ARG002 (the protocol's)
        """Remove its memory cgroup, and free its ports, once nothing of it runs."""
        while launch.execution_id in self._left:
            await self._swept.wait()
        self._ports.give_back(launch.execution_id)
        group = self._group(launch)
        if group is not None:
            cgroup.remove(group)
        self._grouped.discard(launch.execution_id)

    async def remove_strangers(self, owner: Owner, known: Known) -> list[ExecutionId]:
        """End every process that carries the owner's mark and whose execution is not known."""
        name = f"{owner.cluster_id}/{owner.node_id}"
        environments = await asyncio.to_thread(procfs.started_with, OWNER, name)
        marked = {ExecutionId(environment.get(EXECUTION, "")) for environment in environments.values()}
        strangers = sorted(marked - known() - {ExecutionId("")})
        for execution in strangers:
            await self._kill(execution, None, None)
        if self._groups is not None:
            cgroup.sweep(self._groups, self._mark)
        return strangers

    async def close(self) -> None:
        """End what ended programs left; the others go on."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await self._sweep()
        self._ends.close()


def _is_there(handle: Handle) -> bool:
    """Whether the very process that the handle names is still there, running or not yet reaped."""
    facts = handle.facts
    return facts["boot"] == procfs.boot_id() and procfs.start_time(int(facts["pid"])) == facts["started"]


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _is_child(pid: int) -> bool:
    """Whether it is an ended child of ours that was not reaped yet: its number cannot be another's."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def _not_started(complaint: str) -> Outcome:
    """Bubblewrap never came to run the program: the program's fault, or ours when the sandbox itself could not be made."""
    if complaint.startswith("bwrap: execvp"):
        return Outcome(exit_code=126, cause=Cause.EXIT, message=f"cannot be run: {complaint}")
    return Outcome(exit_code=None, cause=Cause.AGENT, message=f"no sandbox: {complaint}")


def _end_session(pid: int) -> None:
    """Kill what the ended leader, not reaped yet, left in its process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _reap(pid: int) -> int | None:
    """The exit code of an ended child of ours, 128 + n for signal n; None when it is not ours."""
    try:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return None
    return 128 - code if code < 0 else code
