"""The `docker` engine: one container an execution, over the engine's own API.

A container's name is its execution's id and its labels say whose it is; the engine keeps its output and how it ended, so an agent
that was away, or an engine that was restarted, loses nothing.
"""

import asyncio
import math
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import aiodocker
import aiohttp
from aiodocker.containers import DockerContainer

from node.engines.base import EngineError, EngineUnavailableError, Handle, Known, Launch, Outcome, Owner
from node.engines.container import EXECUTION, container_config, owner_labels
from node.engines.container_log import copy_log
from node.engines.ending import SIGNALS, outcome
from node.engines.images import Images
from node.engines.ports import Ports, variables
from orchestrator.contract.execution import Cause
from orchestrator.contract.ids import ExecutionId
from orchestrator.contract.params import ParamsError, docker_params

SOCKET = "unix:///var/run/docker.sock"
NETWORKS = {"": "bridge", "Default": "bridge", "None": "none", "Host": "host", "Full": "host", "Bridge": "bridge"}
CONNECT_SECONDS = 10
ANSWER_SECONDS = 300
"""How long the engine may take for one answer (a start under load takes seconds)."""
FOLLOW_AFTER_SECONDS = 0.2
"""A container's output is followed from then on; that of a shorter one is copied at its end."""
LONGEST_PAUSE_SECONDS = 5.0
"""Between tries to reach an engine that does not answer."""
NOT_FOUND, CONFLICT, BAD_REQUEST, UNKNOWN_END = 404, 409, 400, 255
NEVER = "0001-01-01"
TROUBLE = (aiodocker.DockerError, aiohttp.ClientError, OSError, TimeoutError, ValueError)

T = TypeVar("T")


class DockerEngine:
    """Runs containers. Make it with `connect`."""

    name = "docker"
    is_server = True

    def __init__(self, docker: aiodocker.Docker, *, has_bridge: bool, ports: Ports) -> None:
        self._docker = docker
        self._images = Images(docker)
        self._ports = ports
        self._networks = NETWORKS if has_bridge else NETWORKS | {"": "none", "Default": "none"}
        self._room = asyncio.Semaphore(2 * (os.cpu_count() or 1))  # more at once only makes each slower

    @classmethod
    async def connect(cls, host: str = SOCKET, ports: Ports | None = None) -> "DockerEngine | None":
        """The engine at `host` (`unix://` or `tcp://`), None when none answers there."""
        if host.startswith("unix://"):
            connector: aiohttp.BaseConnector = aiohttp.UnixConnector(host.removeprefix("unix://"), limit=0)
            url = "unix://localhost"
        else:
            connector, url = aiohttp.TCPConnector(limit=0), host.replace("tcp://", "http://")
        session = aiohttp.ClientSession(connector=connector)  # no limit: each running container holds a connection
        docker = aiodocker.Docker(
            url, session=session, connector=connector, timeout=aiohttp.ClientTimeout(ANSWER_SECONDS)
        )
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                networks = await docker.networks.list()
        except TROUBLE:
            await session.close()
            return None
        has_bridge = any(network["Name"] == "bridge" for network in networks)
        return cls(docker, has_bridge=has_bridge, ports=ports or Ports())

    async def start(self, launch: Launch) -> Handle:
        """Start a container, fetching its image if it is not there.

        Causes: EXIT with 127 or 126, IMAGE, IMAGE_PULL, INPUT for a network that cannot be had, AGENT when the engine fails.
        """
        config, image = self._config(launch)
        try:
            async with self._undone(launch):
                try:
                    container = await self._create(launch, config)
                except aiodocker.DockerError as error:
                    if error.status not in (NOT_FOUND, BAD_REQUEST) or await self._images.has(image):
                        raise
                    await self._images.fetch(image)
                    container = await self._create(launch, config)
                async with self._room:
                    await container.start()
        except TROUBLE as error:
            raise EngineError(Cause.AGENT, f"the Docker engine failed: {_text(error)}") from error
        return Handle(facts={"container": container.id})

    def _config(self, launch: Launch) -> tuple[dict[str, Any], str]:
        """The body of the create request, and the image."""
        network = self._networks.get(launch.network.type)
        if network is None:
            allowed = ", ".join(name for name in NETWORKS if name)
            message = f'Network.Type "{launch.network.type}": not possible with the docker engine; allowed: {allowed}'
            raise EngineError(Cause.INPUT, message)
        try:
            params = docker_params(launch.engine)
        except ParamsError as error:
            raise EngineError(Cause.INPUT, str(error)) from error
        ports = self._ports.take(launch.execution_id, launch.network.ports if network != "none" else ())
        try:
            return container_config(launch, params, network, ports, variables(ports)), params.image
        except OSError as error:
            self._ports.give_back(launch.execution_id)
            raise EngineError(Cause.AGENT, f"work directory {launch.directory}: {error}") from error

    async def _create(self, launch: Launch, config: dict[str, Any]) -> DockerContainer:
        async with self._room:
            return await self._docker.containers.create(config, name=launch.execution_id)

    @asynccontextmanager
    async def _undone(self, launch: Launch) -> AsyncIterator[None]:
        """Remove what was begun when the start fails or is cancelled, and say why it failed."""
        try:
            yield
        except aiodocker.DockerError as error:
            found = await self._remains(launch)
            await self._remove(launch)
            code = found.get("ExitCode")
            if code in (126, 127):
                message = f"failed to start container: {error.message}"
                raise EngineError(Cause.EXIT, message, code) from error
            if error.status == BAD_REQUEST:
                raise EngineError(Cause.EXIT, f"container refused: {error.message}", 126) from error
            raise
        except BaseException:
            await asyncio.shield(self._remove(launch))
            raise

    async def _remains(self, launch: Launch) -> dict[str, Any]:
        """The state of a container that did not start; empty without one."""
        with suppress(*TROUBLE):
            shown = await self._docker.containers.container(launch.execution_id).show()
            return dict(shown["State"])
        return {}

    async def _remove(self, launch: Launch) -> None:
        self._ports.give_back(launch.execution_id)
        with suppress(*TROUBLE):
            await self._delete(launch.execution_id)

    async def _delete(self, container: str) -> bool:
        """Whether it was there, and nobody else was removing it."""
        try:
            await self._docker.containers.container(container).delete(force=True, v=True)
        except aiodocker.DockerError as error:
            if error.status not in (NOT_FOUND, CONFLICT):  # gone, or going
                raise
            return False
        return True

    async def wait(self, launch: Launch, handle: Handle) -> Outcome:
        """Wait for the end of the container, through restarts of the engine. One that the engine's restart ended: AGENT."""
        container = self._docker.containers.container(handle.facts["container"])
        was_away = False
        pause = 0.1
        while True:
            try:
                await self._until_ended(launch, container)
                state = (await container.show())["State"]
                if not state["Running"]:
                    await copy_log(self._docker, container.id, launch.stdout, launch.stderr, is_followed=False)
                    return _judge(state, was_away=was_away)
            except TROUBLE as error:
                if isinstance(error, aiodocker.DockerError) and error.status == NOT_FOUND:
                    return Outcome(
                        exit_code=None, cause=Cause.AGENT, message="its container was removed by somebody else"
                    )
                was_away = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _until_ended(self, launch: Launch, container: DockerContainer) -> None:
        async with asyncio.TaskGroup() as group:
            follower = group.create_task(self._follow(launch, container))
            try:
                problem = await _caught(container.wait())
            finally:
                follower.cancel()
        if problem is not None:
            raise problem

    async def _follow(self, launch: Launch, container: DockerContainer) -> None:
        """Copy output while it is written. It may stop early: what is missing is copied at the end."""
        await asyncio.sleep(FOLLOW_AFTER_SECONDS)
        with suppress(*TROUBLE):
            await copy_log(self._docker, container.id, launch.stdout, launch.stderr, is_followed=True)

    async def stop(self, launch: Launch, handle: Handle, grace: float) -> None:  # noqa: ARG002 (the protocol's)
        """The image's stop signal, after `grace` seconds (rounded up) SIGKILL. Waits for an engine that does not answer."""
        container = self._docker.containers.container(handle.facts["container"])
        pause = 0.1
        while problem := await _caught(container.stop(t=math.ceil(grace))):
            if isinstance(problem, aiodocker.DockerError) and problem.status == NOT_FOUND:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def adopt(self, launch: Launch, handle: Handle | None) -> Handle | None:
        """The container by its id, or by its name when the journal has only the intent: if it ever began, `wait` goes on."""
        name = launch.execution_id if handle is None else handle.facts["container"]
        try:
            shown = await self._docker.containers.container(name).show()
        except TROUBLE as error:
            if isinstance(error, aiodocker.DockerError) and error.status == NOT_FOUND:
                return None
            raise EngineUnavailableError(_text(error)) from error
        if shown["State"]["StartedAt"].startswith(NEVER):
            await _asked(self._delete(name))
            return None
        return Handle(facts={"container": shown["Id"]})

    async def forget(self, launch: Launch, handle: Handle) -> None:
        """Remove the container. Raises EngineUnavailableError."""
        self._ports.give_back(launch.execution_id)
        await _asked(self._delete(handle.facts["container"]))

    async def remove_strangers(self, owner: Owner, known: Known) -> list[ExecutionId]:
        """Remove every container with the owner's labels whose execution is not known. Raises EngineUnavailableError."""
        labels = [f"{name}={value}" for name, value in owner_labels(owner).items()]
        query = {"all": 1, "filters": {"label": labels}}
        found = await _asked(self._docker.containers.list(**query))
        containers = {ExecutionId(container["Labels"][EXECUTION]): container.id for container in found}
        strangers = sorted(containers.keys() - known())
        return [execution for execution in strangers if await _asked(self._delete(containers[execution]))]

    async def close(self) -> None:
        """Give up the connections."""
        await self._docker.close()
        await self._docker.session.close()


def _judge(state: dict[str, Any], *, was_away: bool) -> Outcome:
    """How a container ended that does not run any more."""
    code = int(state["ExitCode"])
    if state.get("OOMKilled"):
        return outcome(code, is_out_of_memory=True)
    if was_away and (code in SIGNALS or code == UNKNOWN_END):
        return Outcome(exit_code=code, cause=Cause.AGENT, message="the Docker engine was restarted, and ended it")
    return outcome(code)


async def _caught(call: Awaitable[object]) -> Exception | None:
    """Await it; what went wrong with the engine, if anything."""
    try:
        await call
    except TROUBLE as error:
        return error
    return None


async def _asked(call: Awaitable[T]) -> T:
    """The engine's answer. Raises EngineUnavailableError."""
    try:
        return await call
    except TROUBLE as error:
        raise EngineUnavailableError(_text(error)) from error


def _text(error: Exception) -> str:
    return error.message if isinstance(error, aiodocker.DockerError) else f"{type(error).__name__}: {error}"
