"""What batches are worth to the orchestrator, and what syncs to the disk cost the whole of it, idle programs included."""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.measure import Row, Run, ratio, tell
from tests.bench.shoal import PROCESS, Shoal, shoal
from tests.bench.simulated import agents

UNSYNCED = (sys.executable, "-m", "tests.bench.unsynced")
LARGE = 256
FEWER = 16
"""One partition a sync takes so many times as long or more: it is measured on as many fewer."""


def measure_syncing(count: int, passes: int) -> dict[str, float]:
    """Print a row with every commit synced to the disk, and one without; the ratio of the walls."""
    with (
        tempfile.TemporaryDirectory() as home,
        shoal(Path(home, "synced"), is_bare=True) as synced,
        shoal(Path(home, "unsynced"), is_bare=True, orchestrator=UNSYNCED) as unsynced,
    ):
        clusters = {"Shoal": synced, "Shoal, commits not synced": unsynced}
        runs: dict[str, list[Run]] = {name: [] for name in clusters}
        for one in clusters.values():
            one.run([one.job(200, PROCESS)])
        for _ in range(passes):
            for name, one in clusters.items():
                runs[name].append(one.run([one.job(count, PROCESS)]))
    rows = [Row(name=name, count=count, runs=tuple(these)) for name, these in runs.items()]
    for row in rows:
        tell(str(row))
    return {"wall_synced_vs_not": ratio(*rows)}


def measure_batches(count: int, passes: int) -> dict[str, float]:
    """Print rates by how many partitions a sync carries; their ratio. A first pass only warms up."""
    rates = []
    with tempfile.TemporaryDirectory() as home, shoal(Path(home), nodes=0) as ours:
        for _ in range(passes + 1):
            single = asyncio.run(rate(ours, count // FEWER, 1))
            large = asyncio.run(rate(ours, count, LARGE))
            rates.append((single, large, large / single))
    single, large, better = map(statistics.median, zip(*rates[1:], strict=True))
    tell(f"{'Orchestrator, simulated agent':<38}{count:>7} {single:.0f}/s one a sync, {large:.0f}/s with {LARGE}")
    return {"rate_of_256_vs_1_a_sync": better}


async def rate(ours: Shoal, count: int, size: int) -> float:
    """Partitions a second of one job whose executions are assigned and end `size` at a time."""
    async with agents(ours.cluster.url, 1, size):
        began = time.time()
        job_id = await asyncio.to_thread(ours.cluster.submit, ours.job(count, PROCESS))
        return count / (await asyncio.to_thread(ours.wait, [job_id], 3600) - began)
