"""How the orchestrator's cost grows with partitions and agents: python -m tests.bench.growth [--quick].

Prints what it measures and draws docs/growth.svg of it. Agents are simulated (they end everything at once), so that what
is seen is the orchestrator: a real process with a durable store.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from tests.bench.chart import Panel, draw
from tests.bench.contenders import ROOT
from tests.bench.measure import load, tell, used
from tests.bench.shoal import PROCESS, Shoal, shoal
from tests.bench.simulated import agents

SLOTS = 50
"""Of each agent: as many ends go into one sync."""
PASSES = 3
IDLE_SECONDS = 30


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of the orchestrator's CPU a partition, the least of the passes; and what it does when nobody works."""

    by_partitions: dict[int, float]
    by_agents: dict[int, float]
    by_batch: dict[int, float]
    idle_percent: float
    """Of one core, with all those partitions finished and as many idle agents as above."""


async def cost(ours: Shoal, count: int, jobs: int) -> float:
    """Milliseconds of the orchestrator's CPU a partition, over `jobs` jobs of `count` partitions one after the other."""
    before = own_cpu(ours)
    for _ in range(jobs):
        job_id = await asyncio.to_thread(ours.cluster.submit, ours.job(count, PROCESS))
        await asyncio.to_thread(ours.wait, [job_id], 3600)
    return 1000 * (own_cpu(ours) - before) / (count * jobs)


def own_cpu(ours: Shoal) -> float:
    """CPU seconds of the orchestrator so far."""
    assert ours.cluster.serve is not None
    return sum(used(ours.cluster.serve.popen.pid))


async def measured(ours: Shoal, counts: list[int], numbers: list[int], idle_seconds: float, passes: int) -> Figures:
    """All figures, pass by pass."""
    url = ours.cluster.url
    middle = counts[1]
    by_partitions: dict[int, float] = {}
    by_agents: dict[int, float] = {}
    by_batch: dict[int, float] = {}

    def note(into: dict[int, float], key: int, value: float, what: str) -> None:
        into[key] = min(value, into.get(key, value))
        tell(f"{what:<44}{value:>8.3f} ms of the orchestrator's CPU a partition")

    async with agents(url, 1, SLOTS):
        await cost(ours, 1_000, 1)
    for at in range(passes):
        for number in numbers:
            async with agents(url, number, SLOTS):
                value = await cost(ours, middle, 1)
                note(by_agents, number, value, f"{number} agents, {middle:,} partitions")
        for size in (1, 256):
            async with agents(url, 1, size):
                value = await cost(ours, 1_000 if size == 1 else middle, 1)
                note(by_batch, size, value, f"1 agent, {size} partitions a sync")
        async with agents(url, 1, SLOTS):
            for count in counts:
                if count == counts[-1] and at:
                    continue  # the long one: once
                value = await cost(ours, count, max(1, middle // count))
                note(by_partitions, count, value, f"1 agent, {count:,} partitions")
    async with agents(url, numbers[-1], SLOTS):
        await asyncio.sleep(2)
        before, began = own_cpu(ours), time.perf_counter()
        await asyncio.sleep(idle_seconds)
        idle = 100 * (own_cpu(ours) - before) / (time.perf_counter() - began)
        tell(f"{numbers[-1]} idle agents: {idle:.2f} % of a core; memory {ours.resident / 1e6:.1f} MB")
    return Figures(by_partitions=by_partitions, by_agents=by_agents, by_batch=by_batch, idle_percent=idle)


def main(*, is_quick: bool) -> None:
    """Measure, print, draw."""
    counts = [1_000, 10_000] if is_quick else [1_000, 10_000, 100_000]
    tell(load())
    with tempfile.TemporaryDirectory() as home, shoal(Path(home), nodes=0) as ours:
        figures = asyncio.run(
            measured(ours, counts, [1, 10, 100], 10 if is_quick else IDLE_SECONDS, 1 if is_quick else PASSES)
        )
    tell(load())
    unit = "ms of CPU a partition"
    panels = [
        Panel(title="by partitions of one job", unit=unit, points=figures.by_partitions),
        Panel(title="by agents, 10,000 partitions", unit=unit, points=figures.by_agents),
    ]
    note = f"{counts[-1]:,} partitions finished, 100 agents idle: {figures.idle_percent:.1f} % of a core"
    if not is_quick:
        (ROOT / "docs" / "growth.svg").write_text(draw("What a partition costs the orchestrator", panels, note))
    tell(msgspec.json.encode(figures).decode())


if __name__ == "__main__":
    main(is_quick="--quick" in sys.argv)
