"""Images of a Docker engine: fetched when they are missing, once however many executions wait for one."""

import asyncio

import aiodocker
import aiohttp

from node.engines.base import EngineError
from orchestrator.contract.execution import Cause

REFUSED = (400, 401, 403, 404)
"""Answers of an engine that has reached the registry: no such image, not allowed, or no such thing as that name."""


class Images:
    """Fetches images."""

    def __init__(self, docker: aiodocker.Docker) -> None:
        self._docker = docker
        self._pulls: dict[str, asyncio.Future[None]] = {}

    async def has(self, image: str) -> bool:
        """Whether the image is on the node."""
        try:
            await self._docker.images.inspect(image)
        except aiodocker.DockerError:
            return False
        return True

    async def fetch(self, image: str) -> None:
        """Return when the image is on the node. Those who ask for an image that is being fetched share its fate.

        Raises EngineError: IMAGE when it does not exist, is refused or has no valid name, IMAGE_PULL for trouble on the way.
        """
        while (pull := self._pulls.get(image)) is not None:
            await asyncio.wait([pull])
            if not pull.cancelled():
                return pull.result()
        pull = self._pulls[image] = asyncio.get_running_loop().create_future()
        try:
            await self._pull(image)
            pull.set_result(None)
        except EngineError as error:
            pull.set_exception(error)
            pull.exception()  # seen, also when nobody else waits
            raise
        finally:
            del self._pulls[image]
            pull.cancel()  # ours was: the next of those who wait takes over

    async def _pull(self, image: str) -> None:
        try:
            await self._docker.images.pull(image)
        except aiodocker.DockerError as error:
            if error.status in REFUSED:
                message = (
                    f'invalid image format: "{image}"'
                    if error.status == REFUSED[0]
                    else f'image not available: "{image}"'
                )
                raise EngineError(Cause.IMAGE, f"{message}: {error.message}") from error
            raise EngineError(Cause.IMAGE_PULL, f'image "{image}" could not be pulled: {error.message}') from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise EngineError(Cause.IMAGE_PULL, f'image "{image}" could not be pulled: {error}') from error
