"""Which engines this machine has, and which of those wanted are still missing."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from node.engines.base import Engine
from node.engines.bubblewrap import Bubblewrap
from node.engines.process import ProcessEngine

log = structlog.get_logger()

UNASKED = ("docker", "wasm")
"""What a node offers that was told nothing: `process`, which runs host programs, never unasked."""
DOCKER = "unix:///var/run/docker.sock"


class Engines:
    """The engines that are present, by name; `missing` are wanted and do not answer yet."""

    def __init__(self, wanted: tuple[str, ...] | None, directory: Path) -> None:
        self.present: dict[str, Engine] = {}
        self.missing = list(UNASKED if wanted is None else wanted)
        self._directory = directory

    async def look(self) -> tuple[str, ...]:
        """Try to reach those that are missing; the names of those that have come."""
        come = []
        for name in list(self.missing):
            engine = await self._open(name)
            if engine is not None:
                self.present[name] = engine
                self.missing.remove(name)
                come.append(name)
        return tuple(come)

    async def close(self) -> None:
        """Give up all connections. What runs goes on."""
        for engine in self.present.values():
            await engine.close()

    async def _open(self, name: str) -> Engine | None:
        if name == "process":
            bubblewrap = Bubblewrap.find(self._directory)
            if bubblewrap is None:
                log.warning("bubblewrap_missing", consequence="programs see the whole machine")
            return ProcessEngine(self._directory, bubblewrap)
        if name == "wasm":
            from node.engines.wasm import WasmEngine  # noqa: PLC0415 - only nodes with WASM need it

            return WasmEngine(self._directory)
        assert name == "docker", name
        host = os.environ.get("DOCKER_HOST", DOCKER)
        if host.startswith("unix:") and not os.access(urlsplit(host).path, os.F_OK):
            return None
        from node.engines.docker import DockerEngine  # noqa: PLC0415 - 15 MB that only nodes with Docker need

        return await DockerEngine.connect(host)
