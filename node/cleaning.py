"""Has engines remove what an agent before this one left in them, or what this one could not remove.

An engine that is a server is looked at again and again: an order of an agent that has died, or of an execution that was stopped
meanwhile, may still be on its way there.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from node.engines.base import Engine, EngineUnavailableError
from orchestrator.contract.ids import ExecutionId

log = structlog.get_logger()

AGAIN_SECONDS = 10.0
"""Between looks at an engine that is a server, and between tries to have one cleaned that cannot be asked."""


class Cleaning:
    """Cleans engines, each in a task of its own among `tasks`, until there is `leaving`.

    `remove` has one engine remove what is not known, and may raise EngineUnavailableError; `done` is told after each try.
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        leaving: asyncio.Event,
        remove: Callable[[Engine], Awaitable[list[ExecutionId]]],
        done: Callable[[], None],
    ) -> None:
        self._tasks = tasks
        self._leaving = leaving
        self._remove = remove
        self._done = done
        self._wanted: set[str] = set()
        self.going_on: set[str] = set()
        """Names of the engines in which nothing may start yet: what was left there takes its room."""

    def later(self, engine: Engine) -> None:
        """Have an engine cleaned, unless it is about to be."""
        if engine.name in self._wanted or self._leaving.is_set():
            return
        self._wanted.add(engine.name)
        self.going_on.add(engine.name)
        self._tasks.create_task(self._clean(engine)).add_done_callback(lambda _: self._cleaned(engine.name))

    async def _clean(self, engine: Engine) -> None:
        while not self._leaving.is_set():
            try:
                removed = await self._remove(engine)
            except EngineUnavailableError as error:
                log.warning("engine_unavailable", engine=engine.name, reason=str(error))
            else:
                if removed:
                    log.warning("strangers_removed", engine=engine.name, executions=removed)
                if not engine.is_server:
                    return
            self.going_on.discard(engine.name)
            self._done()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_SECONDS):
                    await self._leaving.wait()

    def _cleaned(self, name: str) -> None:
        self._wanted.discard(name)
        self.going_on.discard(name)
        self._done()
