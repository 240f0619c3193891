"""Agents for tests: in this process beside a fake orchestrator, and the jobs that they run."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from node.__main__ import serve
from node.capacity import Overrides
from node.config import Config
from node.engines.base import Owner
from node.engines.process import ProcessEngine
from node.journal import Opened, read
from node.watch import OUTPUT_LIMIT
from orchestrator.contract.ids import JobId, NodeId, Timestamp
from orchestrator.contract.job import (
    InputSource,
    Job,
    JobState,
    JobStateType,
    JobType,
    NetworkConfig,
    ResourcesConfig,
    ResultPath,
    SpecConfig,
    Task,
    TimeoutConfig,
)


def shell(
    script: str,
    number: int = 1,
    *,
    cpu: str = "1",
    memory: str = "",
    timeout: int = 0,
    publisher: str = "",
    env: dict[str, str] | None = None,
    inputs: tuple[InputSource, ...] = (),
    results: tuple[ResultPath, ...] = (),
    engine: SpecConfig | None = None,
    **fields: Any,
) -> Job:
    """A job of three partitions that runs `script` with sh in the process engine."""
    task = Task(
        name="main",
        engine=engine or SpecConfig(type="process", params={"Command": "sh", "Arguments": ["-c", script]}),
        publisher=SpecConfig(type=publisher),
        env=env or {},
        input_sources=inputs,
        result_paths=results,
        resources=ResourcesConfig(cpu=cpu, memory=memory),
        network=NetworkConfig(type="None"),
        timeouts=TimeoutConfig(execution_timeout=timeout),
    )
    plain: dict[str, Any] = {
        "id": JobId(f"j-{number}"), "name": f"job-{number}", "namespace": "default", "type": JobType.BATCH, "priority": 0,
        "count": 3, "constraints": (), "meta": {}, "labels": {}, "tasks": (task,), "version": 1, "revision": 1,
        "state": JobState(state_type=JobStateType.RUNNING), "create_time": Timestamp(1), "modify_time": Timestamp(1),
    }  # fmt: skip
    return Job(**(plain | fields))


def config_of(url: str, directory: Path, cpu: float = 2, **fields: Any) -> Config:
    """An agent `n1` of so many cores that offers processes."""
    plain: dict[str, Any] = {
        "orchestrator": url,
        "name": "n1",
        "data_dir": directory,
        "engines": ("process",),
        "capacity": Overrides(cpu=cpu, memory=1 << 30, disk=1 << 30, gpu=0),
    }
    return Config(**(plain | fields))


@contextlib.asynccontextmanager
async def agent(
    config: Config, output_limit: int = OUTPUT_LIMIT, *, is_left: bool = False
) -> AsyncIterator[asyncio.Task[None]]:
    """An agent in this process, cancelled at the end, as a kill would; `is_left` = what it runs goes on, to be adopted."""
    task = asyncio.ensure_future(serve(config, output_limit))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not is_left:
            await end_remains(config)


async def end_remains(config: Config) -> None:
    """End all processes of an agent that is gone."""
    engine = ProcessEngine(config.directory, None)
    for line, _ in list(read(config.directory / "journal")):
        if isinstance(line, Opened):
            owner = Owner(cluster_id=line.cluster_id, node_id=NodeId(config.name))
            await engine.remove_strangers(owner, frozenset)
