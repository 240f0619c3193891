"""The engines as tests have them: `Bench` makes launches for one engine, and agents that start them and are killed."""

import asyncio
import os
import pickle
import signal
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from node.engines.base import Engine, Handle, Launch, Mount, Outcome, Owner
from node.engines.bubblewrap import Bubblewrap
from node.engines.docker import DockerEngine
from node.engines.process import ProcessEngine
from orchestrator.contract.ids import ExecutionId, NodeId
from orchestrator.contract.job import NetworkConfig, SpecConfig
from orchestrator.contract.node import Resources
from tests.helpers.docker import IMAGE, build_image, has_docker, missing

KINDS = ("bare", "bubblewrap", "docker")


class Bench:
    """One kind of engine, and launches for it below a directory of its own."""

    def __init__(self, kind: str, home: Path) -> None:
        self.kind = kind
        self.home = home
        self.owner = Owner(cluster_id=f"cluster-{uuid.uuid4()}", node_id=NodeId("n1"))
        self.engines: list[Engine] = []

    async def engine(self) -> Engine:
        """A new engine object, as an agent makes one when it starts."""
        engine = await make_engine(self.kind, self.home)
        self.engines.append(engine)
        return engine

    def launch(
        self,
        script: str = "true",
        *,
        argv: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        inputs: tuple[Mount, ...] = (),
        outputs: tuple[Mount, ...] = (),
        memory: int = 0,
        cpu: float = 0,
        network: NetworkConfig | None = None,
        params: Mapping[str, object] | None = None,
        engine: SpecConfig | None = None,
    ) -> Launch:
        """A launch of a shell script, or of `argv`, or of `engine`: as if of the same job as another launch."""
        execution = ExecutionId(f"e-{uuid.uuid4()}")
        argv = list(argv or ["sh", "-c", script])
        directory = self.home / execution
        directory.mkdir()
        (directory / "work").mkdir()
        is_docker = self.kind == "docker"
        own: dict[str, object] = (
            {"Image": IMAGE, "Parameters": argv} if is_docker else {"Command": argv[0], "Arguments": argv[1:]}
        )
        return Launch(
            execution_id=execution,
            owner=self.owner,
            engine=engine or SpecConfig(type="docker" if is_docker else "process", params={**own, **(params or {})}),
            need=Resources(memory=memory, cpu=cpu),
            network=network or NetworkConfig(type="None"),
            environment={"BACALHAU_EXECUTION_ID": execution, **(environment or {})},
            inputs=inputs,
            outputs=outputs,
            directory=directory,
            stdout=directory / "stdout",
            stderr=directory / "stderr",
        )

    async def run(self, launch: Launch) -> Outcome:
        """Start, wait, forget."""
        engine = await self.engine()
        handle = await engine.start(launch)
        async with asyncio.timeout(60):
            outcome = await engine.wait(launch, handle)
        await engine.forget(launch, handle)
        return outcome

    async def started_by_a_dead_agent(self, launch: Launch, is_enough: Callable[[], bool]) -> Handle:
        """Another process starts it; killed with SIGKILL as soon as `is_enough`."""
        command = [sys.executable, "-m", "tests.helpers.engines", self.kind, str(self.home)]
        agent = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        assert agent.stdin is not None
        assert agent.stdout is not None
        agent.stdin.write(pickle.dumps(launch))
        agent.stdin.write_eof()
        handle = pickle.loads(bytes.fromhex((await agent.stdout.readline()).decode()))
        assert isinstance(handle, Handle)
        await until(is_enough)
        agent.send_signal(signal.SIGKILL)
        await agent.communicate()
        return handle

    async def close(self) -> None:
        """Remove all that tests left."""
        last = await make_engine(self.kind, self.home)
        await last.remove_strangers(self.owner, frozenset)
        for engine in (*self.engines, last):
            await engine.close()


async def make_engine(kind: str, home: Path) -> Engine:
    """An engine of a kind; skips, or fails in CI, where it cannot be had."""
    if kind == "bare":
        return ProcessEngine(home, None)
    if kind == "bubblewrap":
        bubblewrap = Bubblewrap.find(home)
        if bubblewrap is None:
            missing("bubblewrap")
        return ProcessEngine(home, bubblewrap)
    engine = await DockerEngine.connect() if has_docker() else None
    if engine is None:
        missing("a Docker engine")
    assert engine is not None
    build_image()
    return engine


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Return when it holds; fails when it does not for so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        await asyncio.sleep(0.02)


def processes(*words: str) -> list[int]:
    """The pids of the machine's living processes whose command line is this."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                command = Path(entry.path, "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if command[:-1] == list(words):
                found.append(int(entry.name))
    return found


async def _be_an_agent(kind: str, home: Path) -> None:
    launch = pickle.loads(sys.stdin.buffer.read())
    engine = await make_engine(kind, home)
    handle = await engine.start(launch)
    sys.stdout.write(pickle.dumps(handle).hex() + "\n")
    sys.stdout.flush()
    await engine.wait(launch, handle)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_be_an_agent(sys.argv[1], Path(sys.argv[2])))
