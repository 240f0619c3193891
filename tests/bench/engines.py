"""What the engines cost beside the limit of this machine: python -m tests.bench.engines [--quick]. Prints ratios.

Each pass runs the loop without us and our engine one after the other; a ratio is the median over the passes.
"""

import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiodocker

from node.engines.base import Engine, Launch
from node.engines.bubblewrap import Bubblewrap
from tests.helpers.docker import IMAGE, build_image, has_docker
from tests.helpers.engines import Bench

SOURCE = Path(__file__).with_name("spawn_loop.c")


def compile_loop(directory: Path) -> str:
    """The C loop, as a program."""
    program = directory / "spawn_loop"
    subprocess.run(["cc", "-O2", "-o", str(program), str(SOURCE)], check=True)
    return str(program)


async def run_loop(program: str, count: int, width: int, command: list[str]) -> float:
    """Wall seconds of the C loop over a command."""
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        program, str(count), str(width), *command, stdout=asyncio.subprocess.DEVNULL
    )
    await process.wait()
    return time.perf_counter() - begun


async def run_engine(engine: Engine, launches: list[Launch], width: int) -> tuple[float, float]:
    """Wall and own CPU seconds of our engine over the launches, `width` at once."""
    todo = iter(launches)

    async def slot() -> None:
        for launch in todo:
            handle = await engine.start(launch)
            outcome = await engine.wait(launch, handle)
            assert outcome.cause is None, outcome
            await engine.forget(launch, handle)

    begun, used = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(slot())
    return time.perf_counter() - begun, time.process_time() - used


def partitions(bench: Bench, count: int, memory: int) -> list[Launch]:
    """Launches of one job that does nothing."""
    first = bench.launch(argv=["/bin/true"])
    return [bench.launch(memory=memory, engine=first.engine) for _ in range(count)]


async def run_aiodocker(count: int, width: int, mode: dict[str, Any]) -> float:
    """Wall seconds of the same containers by plain aiodocker: create, start, wait, logs, remove."""
    todo = iter(range(count))
    docker = aiodocker.Docker("unix:///var/run/docker.sock")

    async def slot() -> None:
        for _ in todo:
            container = await docker.containers.create({"Image": IMAGE, "Cmd": ["true"], **mode})
            await container.start()
            await container.wait()
            await container.log(stdout=True, stderr=True)
            await container.delete()

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(slot())
    took = time.perf_counter() - begun
    await docker.close()
    return took


async def measure(
    passes: int,
    limit: Callable[[], Awaitable[float]],
    own: Callable[[], Awaitable[tuple[float, float]]],
) -> list[float]:
    """Medians: seconds of the limit, our seconds, our CPU seconds, the ratio."""
    rows = []
    for _ in range(passes):
        floor = await limit()
        wall, cpu = await own()
        rows.append((floor, wall, cpu, wall / floor))
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def tell(name: str, count: int, row: list[float], goal: str) -> None:
    """One line of the result."""
    floor, wall, cpu, ratio = row
    rates = f"limit {count / floor:7.1f}/s   ours {count / wall:7.1f}/s   own CPU {1000 * cpu / count:6.2f} ms"
    print(f"{name:<32}{rates}   x{ratio:.2f} {goal}", flush=True)  # noqa: T201 - this is the output


async def main(*, is_quick: bool) -> None:
    """Measure, print."""
    passes = 1 if is_quick else 5
    home = Path(tempfile.mkdtemp(prefix="shoal-bench-"))
    try:
        loop = compile_loop(home)
        for memory in (0, 2**28):
            await bare(loop, home, passes, 200 if is_quick else 1000, memory)
        await bubblewrap(loop, home, passes, 60 if is_quick else 300)
        if has_docker():
            await containers(home, passes, 12 if is_quick else 32)
    finally:
        shutil.rmtree(home)


async def bare(loop: str, home: Path, passes: int, count: int, memory: int) -> None:
    """Against the C loop over the same program."""
    bench = Bench("bare", home)
    engine = await bench.engine()
    row = await measure(
        passes,
        lambda: run_loop(loop, count, 2, ["/bin/true"]),
        lambda: run_engine(engine, partitions(bench, count, memory), 2),
    )
    tell("bare, memory limit" if memory else "bare", count, row, "of the C loop")


async def bubblewrap(loop: str, home: Path, passes: int, count: int) -> None:
    """Against the C loop over the very command that the engine runs."""
    sandbox = Bubblewrap.find(home)
    if sandbox is None:
        return
    bench = Bench("bubblewrap", home)
    engine = await bench.engine()
    layout = sandbox.layout(bench.launch(argv=["/bin/true"]), ["/bin/true"], {}, "")
    status = layout.arguments.index("--json-status-fd")
    command = [shutil.which("bwrap") or "", *layout.arguments[1:status], *layout.arguments[status + 2 :]]
    row = await measure(
        passes,
        lambda: run_loop(loop, count, 2, command),
        lambda: run_engine(engine, partitions(bench, count, 0), 2),
    )
    tell("bubblewrap", count, row, "of the C loop (goal 1.3)")


async def containers(home: Path, passes: int, count: int) -> None:
    """Against aiodocker alone, 4 at once, without a network: as ours, and as `docker run --network none` does it."""
    build_image()
    modes: dict[str, dict[str, Any]] = {
        "docker, no network": {"NetworkDisabled": True, "HostConfig": {"NetworkMode": "none"}},
        "docker, beside network none": {"HostConfig": {"NetworkMode": "none"}},
    }
    bench = Bench("docker", home)
    engine = await bench.engine()
    for name, mode in modes.items():
        row = await measure(
            passes,
            partial(run_aiodocker, count, 4, mode),
            lambda: run_engine(engine, [bench.launch(argv=["true"]) for _ in range(count)], 4),
        )
        tell(name, count, row, "of plain aiodocker (goal 1.1)")
    await bench.close()


if __name__ == "__main__":
    asyncio.run(main(is_quick="--quick" in sys.argv))
