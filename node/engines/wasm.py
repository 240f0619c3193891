"""The `wasm` engine: WASI modules, each in a process of its own while it runs.

Hosts (`wasm_host`) are kept for the next execution, so that one costs no start of Python; stopping an execution ends its host.
Hosts end with the agent, so a restarted agent has nothing to adopt: what ran is lost, and run again elsewhere.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path, PurePosixPath

import msgspec

from node.engines import procfs
from node.engines.base import EngineError, Handle, Known, Launch, Mount, Outcome, Owner
from node.engines.layout import shown
from node.engines.wasm_host import Call, Ended, Opened
from orchestrator.contract.execution import Cause
from orchestrator.contract.ids import ExecutionId
from orchestrator.contract.params import ParamsError, WasmParams, wasm_params

KEPT = 8
"""Idle hosts that are kept."""
LINE = 1 << 20
"""Bytes that a host's answer may have."""
OWNER = "SHOAL_WASM_OWNER"


class _Host(msgspec.Struct):
    """A process that runs modules; `running` is the execution that it works on."""

    process: asyncio.subprocess.Process
    running: "asyncio.Task[Outcome] | None" = None
    is_stopped: bool = False


class WasmEngine:
    """Runs WASM modules. `directory` is the agent's; compiled modules are kept there."""

    name = "wasm"
    is_server = False

    def __init__(self, directory: Path) -> None:
        self._cache = directory / "wasm-cache"
        self._idle: list[_Host] = []
        self._busy: dict[ExecutionId, _Host] = {}

    async def start(self, launch: Launch) -> Handle:
        """Start the module. Causes: IMAGE when an input that it is read from is not there."""
        try:
            params = wasm_params(launch.engine)
        except ParamsError as error:
            raise EngineError(Cause.INPUT, str(error)) from error
        try:
            call = await asyncio.to_thread(call_of, launch, params)
            host = self._idle.pop() if self._idle else await self._open(launch.owner)
        except OSError as error:
            raise EngineError(Cause.AGENT, f"{launch.execution_id}: {error}") from error
        self._busy[launch.execution_id] = host
        host.running = asyncio.ensure_future(self._run(host, call))
        return Handle(facts={"pid": str(host.process.pid), "started": procfs.start_time(host.process.pid) or ""})

    async def wait(self, launch: Launch, handle: Handle) -> Outcome:  # noqa: ARG002 - the host is known by the execution
        """Wait for the module's end."""
        host = self._busy.get(launch.execution_id)
        if host is None or host.running is None:
            return Outcome(exit_code=None, cause=Cause.AGENT, message="its host has ended with the agent")
        return await asyncio.shield(host.running)

    async def stop(self, launch: Launch, handle: Handle, grace: float) -> None:  # noqa: ARG002 - WASI has no signals
        """End the module's host: there is no polite way to stop a module."""
        host = self._busy.get(launch.execution_id)
        if host is not None and host.running is not None and not host.running.done():
            host.is_stopped = True
            with contextlib.suppress(ProcessLookupError):
                host.process.kill()
            await asyncio.wait([host.running])

    async def adopt(self, launch: Launch, handle: Handle | None) -> Handle | None:
        """Nothing of a former agent's executions can go on: its hosts have ended, or are ended here."""
        if launch.execution_id in self._busy:
            return handle
        if handle is not None:
            pid = int(handle.facts["pid"])
            if procfs.start_time(pid) == handle.facts["started"]:
                procfs.send([pid], signal.SIGKILL)
        return None

    async def forget(self, launch: Launch, handle: Handle) -> None:  # noqa: ARG002
        """Keep the execution's host for another one."""
        host = self._busy.pop(launch.execution_id, None)
        if host is None or host.process.returncode is not None or host.is_stopped:
            return
        if len(self._idle) < KEPT:
            host.running = None
            self._idle.append(host)
        else:
            await end(host)

    async def remove_strangers(self, owner: Owner, known: Known) -> list[ExecutionId]:  # noqa: ARG002
        """End hosts that former agents of this node left; they ran nothing that can be told."""
        own = {host.process.pid for host in (*self._idle, *self._busy.values())}
        left = procfs.started_with(OWNER, mark_of(owner)).keys() - own
        procfs.send(left, signal.SIGKILL)
        return []

    async def close(self) -> None:
        """End the hosts; they cannot outlive the agent."""
        for host in (*self._idle, *self._busy.values()):
            await end(host)
        self._idle.clear()

    async def _open(self, owner: Owner) -> _Host:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "node.engines.wasm_host",
            str(self._cache),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path), OWNER: mark_of(owner)},
            limit=LINE,
            start_new_session=True,
        )
        return _Host(process=process)

    async def _run(self, host: _Host, call: Call) -> Outcome:
        assert host.process.stdin is not None
        assert host.process.stdout is not None
        with contextlib.suppress(ConnectionError):
            host.process.stdin.write(msgspec.json.encode(call) + b"\n")
            await host.process.stdin.drain()
        line = await host.process.stdout.readline()
        if line:
            ended = msgspec.json.decode(line, type=Ended)
            return Outcome(exit_code=ended.exit_code, cause=ended.cause, message=ended.message)
        await host.process.communicate()
        message = "" if host.is_stopped else f"its host ended with {host.process.returncode}"
        return Outcome(exit_code=137, cause=Cause.SIGNAL, message=message)


def call_of(launch: Launch, params: WasmParams) -> Call:
    """What a host has to do. Blocks: single files are put where a module can open them. Raises EngineError, OSError."""
    directories = [
        Opened(str(mount.source), guest, mount.is_writable)
        for mount in (*launch.inputs, *launch.outputs)
        if mount.source.is_dir()
        for guest in guests_of(mount, launch)
    ]
    directories += staged(launch)
    return Call(
        module=str(module_at(launch, params.entry_module)),
        imports={
            name: str(module_at(launch, target))
            for target in params.import_modules
            for name in (target, PurePosixPath(target).stem)
        },
        entrypoint=params.entrypoint,
        arguments=list(params.parameters),
        environment={**launch.environment, **shown(launch, lambda mount: mount.target)},
        directories=directories,
        stdout=str(launch.stdout),
        stderr=str(launch.stderr),
        memory=launch.need.memory,
    )


def guests_of(mount: Mount, launch: Launch) -> list[str]:
    """The paths at which a module sees a directory: its target, and for results their name too, as in Bacalhau."""
    return [mount.target, mount.source.name] if mount in launch.outputs else [mount.target]


def module_at(launch: Launch, target: str) -> Path:
    """The file of the input that has this target: itself, or the only file of a directory. Raises EngineError."""
    for mount in launch.inputs:
        if mount.target.strip("/") != target.strip("/"):
            continue
        if not mount.source.is_dir():
            return mount.source
        files = [path for path in mount.source.rglob("*") if path.is_file()]
        if len(files) == 1:
            return files[0]
        raise EngineError(Cause.IMAGE, f"module {target}: the input holds {len(files)} files; allowed: one module")
    raise EngineError(Cause.IMAGE, f"module {target}: no input has this target")


def staged(launch: Launch) -> list[Opened]:
    """Directories that hold the inputs that are single files: WASI opens directories only."""
    places: dict[str, Path] = {}
    for number, mount in enumerate(launch.inputs):
        if mount.source.is_dir():
            continue
        target = PurePosixPath("/") / mount.target
        place = places.setdefault(str(target.parent), launch.directory / "staged" / str(number))
        place.mkdir(parents=True, exist_ok=True)
        (place / target.name).unlink(missing_ok=True)
        try:
            os.link(mount.source, place / target.name)
        except OSError:
            shutil.copyfile(mount.source, place / target.name)
    return [Opened(str(place), guest, is_writable=False) for guest, place in places.items()]


async def end(host: _Host) -> None:
    """End a host and wait for it."""
    with contextlib.suppress(ProcessLookupError):
        host.process.kill()
    if host.running is not None:
        await asyncio.wait([host.running])
    await host.process.communicate()


def mark_of(owner: Owner) -> str:
    """What tells a node's hosts from others'."""
    return f"{owner.cluster_id}/{owner.node_id}"
