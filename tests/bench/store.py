"""Measures a SQLite store: rows a second and CPU a partition for no-op work, a big load, a commit beside a busy loop.

Run with: python -m tests.bench.store [DIRECTORY]
"""

import asyncio
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from orchestrator.contract.execution import ExecutionState, RunOutput
from orchestrator.contract.history import Level
from orchestrator.contract.ids import ExecutionId
from orchestrator.contract.partitions import PartitionState
from orchestrator.core.model import Changes
from orchestrator.store.sqlite import SqliteStore
from tests.helpers.records import NOW, execution_record, happening, job_record, partition_record

OUTPUT = RunOutput(
    stdout="hello\n", stdout_truncated=False, stderr="", stderr_truncated=False, exit_code=0, error_msg=""
)
ASSIGNED = {"state": ExecutionState.ASSIGNED}
ENDED = {"state": ExecutionState.COMPLETED, "exit_code": 0, "run_output": OUTPUT}


def half(indices: range, ids: list[ExecutionId], *, is_end: bool) -> Changes:
    """What one commit of no-op work writes when these partitions are assigned, or have completed."""
    state = PartitionState.COMPLETED if is_end else PartitionState.ASSIGNED
    level = Level.EXECUTION
    return Changes(
        executions=[execution_record(i, i, id=ids[i], **(ENDED if is_end else ASSIGNED)) for i in indices],
        partitions=[partition_record(i, state=state, accepted=ids[i] if is_end else "") for i in indices],
        happenings=[
            happening(i * 3 + line, level=level, execution_id=ids[i], index=i, topic="Execution", message="Completed")
            for i in indices
            for line in ((2, 3) if is_end else (1,))
        ],
    )


def batches(count: int, size: int, ids: list[ExecutionId]) -> Iterator[Changes]:
    """Commits of `count` no-op partitions, `size` of them at a time."""
    for begin in range(0, count, size):
        indices = range(begin, min(begin + size, count))
        yield half(indices, ids, is_end=False)
        yield half(indices, ids, is_end=True)


async def no_op_work(directory: Path, count: int, size: int) -> None:
    """Commit the work of `count` no-op partitions and print what it cost."""
    store = await SqliteStore.open(directory)
    await store.commit(Changes(jobs=[job_record(count=count)]), 1, NOW)
    ids = [ExecutionId(f"e-{uuid.uuid4()}") for _ in range(count)]
    commits = list(batches(count, size, ids))
    wall, used = time.perf_counter(), time.process_time()
    for number, changes in enumerate(commits, 2):
        await store.commit(changes, number, NOW)
    wall, used = time.perf_counter() - wall, time.process_time() - used
    await store.close()
    size_on_disk = (directory / "shoal.db").stat().st_size
    sys.stdout.write(
        f"no-op, {count} partitions, {size} a commit: {count * 7 / wall:9.0f} rows/s, {len(commits) / wall:6.0f} commits/s,"
        f" CPU {used / count * 1000:.3f} ms a partition, {size_on_disk / count:.0f} bytes a partition\n"
    )


async def measure_once(count: int, size: int, synchronous: str) -> float:
    """Wall seconds of the commits of `count` no-op partitions, `size` of them at a time."""
    with tempfile.TemporaryDirectory() as directory:
        store = await SqliteStore.open(Path(directory))
        store._connection.execute(f"PRAGMA synchronous={synchronous}")
        await store.commit(Changes(jobs=[job_record(count=count)]), 1, NOW)
        commits = list(batches(count, size, [ExecutionId(f"e-{uuid.uuid4()}") for _ in range(count)]))
        began = time.perf_counter()
        for number, changes in enumerate(commits, 2):
            await store.commit(changes, number, NOW)
        wall = time.perf_counter() - began
        await store.close()
    return wall


def measure_sync(count: int, passes: int) -> dict[str, float]:
    """What durability costs at batches of 64 partitions: wall with every commit synced, by that without."""
    pairs = [
        (asyncio.run(measure_once(count, 64, "FULL")), asyncio.run(measure_once(count, 64, "OFF")))
        for _ in range(passes)
    ]
    return {"store_wall_synced_vs_not": statistics.median(full / off for full, off in pairs)}


async def big_load(directory: Path) -> None:
    """Load 100,000 touched partitions and 300 live executions."""
    count, live = 100_000, 300
    store = await SqliteStore.open(directory)
    await store.commit(Changes(jobs=[job_record(count=count)]), 1, NOW)
    ids = [ExecutionId(f"e-{uuid.uuid4()}") for _ in range(count)]
    for number, begin in enumerate(range(0, count - live, 5000), 2):
        await store.commit(half(range(begin, min(begin + 5000, count - live)), ids, is_end=True), number, NOW)
    await store.commit(half(range(count - live, count), ids, is_end=False), 999, NOW)
    await store.close()
    store = await SqliteStore.open(directory)
    began = time.perf_counter()
    snapshot = await store.load()
    wall = time.perf_counter() - began
    sys.stdout.write(
        f"load: {len(snapshot.partitions)} partitions, {len(snapshot.executions)} live executions: {wall:.2f} s\n"
    )
    await store.close()


async def busy_loop(directory: Path) -> None:
    """Commit 256 partitions while the event loop's thread never rests: waits for the interpreter's lock show here."""
    store = await SqliteStore.open(directory)
    ids = [ExecutionId(f"e-{uuid.uuid4()}") for _ in range(256)]
    await store.commit(Changes(jobs=[job_record(count=256)]), 1, NOW)
    waits = []
    for number in range(2, 12):
        began = time.perf_counter()
        commit = asyncio.ensure_future(store.commit(half(range(256), ids, is_end=True), number, NOW))
        while not commit.done():
            until = time.perf_counter() + 0.01
            while time.perf_counter() < until:
                pass
            await asyncio.sleep(0)
        waits.append(time.perf_counter() - began)
    sys.stdout.write(f"256 partitions a commit beside a busy loop: {sorted(waits)[5] * 1000:.0f} ms a commit\n")
    await store.close()


def main() -> None:
    """Run all of it in a directory of its own below the one given, or the system's for temporary files."""
    base = sys.argv[1] if len(sys.argv) > 1 else None
    for count, size in ((500, 1), (2_000, 10), (10_000, 100), (10_000, 256), (10_000, 2_500)):
        with tempfile.TemporaryDirectory(dir=base) as directory:
            asyncio.run(no_op_work(Path(directory), count, size))
    for measure in (big_load, busy_loop):
        with tempfile.TemporaryDirectory(dir=base) as directory:
            asyncio.run(measure(Path(directory)))


if __name__ == "__main__":
    main()
