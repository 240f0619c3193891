"""Measures a SQLite store: rows a second and CPU a partition for no-op work, a big load, a commit beside a busy loop.

Run with: python tests/bench/store.py [DIRECTORY]
"""

import asyncio
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from orchestrator.contract.execution import ExecutionState, RunOutput
from orchestrator.contract.history import Level
from orchestrator.contract.ids import ExecutionId, JobId, NodeId, Timestamp
from orchestrator.contract.job import (
    Job,
    JobState,
    JobStateType,
    JobType,
    NetworkConfig,
    ResourcesConfig,
    SpecConfig,
    Task,
    TimeoutConfig,
)
from orchestrator.contract.partitions import PartitionState
from orchestrator.core.model import Changes, ExecutionRecord, Happening, JobRecord, PartitionRecord
from orchestrator.store.sqlite import SqliteStore

NOW = Timestamp(1_700_000_000_000_000_000)
JOB = JobId(f"j-{uuid.UUID(int=7)}")
OUTPUT = RunOutput(
    stdout="hello\n", stdout_truncated=False, stderr="", stderr_truncated=False, exit_code=0, error_msg=""
)


def job(count: int, job_id: JobId = JOB) -> JobRecord:
    """A running job."""
    task = Task(
        name="main",
        engine=SpecConfig(type="process", params={"Command": "true"}),
        publisher=SpecConfig(type=""),
        resources=ResourcesConfig(cpu="1"),
        network=NetworkConfig(type="None"),
        timeouts=TimeoutConfig(),
    )
    spec = Job(
        id=job_id, name=job_id, namespace="default", type=JobType.BATCH, priority=0, count=count, constraints=(),
        meta={}, labels={}, tasks=(task,), state=JobState(state_type=JobStateType.RUNNING), version=1, revision=1,
        create_time=NOW, modify_time=NOW,
    )  # fmt: skip
    return JobRecord(job=spec, began=NOW)


def half(indices: range, ids: list[ExecutionId], *, is_end: bool) -> Changes:
    """What one commit of no-op work writes when these partitions are assigned, or have completed."""
    changes = Changes()
    for index in indices:
        changes.executions.append(
            ExecutionRecord(
                id=ids[index], job_id=JOB, job_version=1, namespace="default", index=index, attempt=1,
                node_id=NodeId("n1"), evaluation_id=str(uuid.UUID(int=9)), session="s1", created=NOW, modified=NOW,
                state=ExecutionState.COMPLETED if is_end else ExecutionState.ASSIGNED,
                exit_code=0 if is_end else None, run_output=OUTPUT if is_end else None,
            )  # fmt: skip
        )
        changes.partitions.append(
            PartitionRecord(
                job_id=JOB, job_version=1, index=index, attempts=1, last_node=NodeId("n1"),
                state=PartitionState.COMPLETED if is_end else PartitionState.ASSIGNED,
                accepted=ids[index] if is_end else ExecutionId(""),
            )  # fmt: skip
        )
        for line in (2, 3) if is_end else (1,):
            changes.happenings.append(
                Happening(
                    job_id=JOB, seq=index * 3 + line, job_version=1, level=Level.EXECUTION, execution_id=ids[index],
                    index=index, topic="Execution", message="Completed successfully", time=NOW,
                )  # fmt: skip
            )
    return changes


def batches(count: int, size: int, ids: list[ExecutionId]) -> Iterator[Changes]:
    """Commits of `count` no-op partitions, `size` of them at a time."""
    for begin in range(0, count, size):
        indices = range(begin, min(begin + size, count))
        yield half(indices, ids, is_end=False)
        yield half(indices, ids, is_end=True)


async def no_op_work(directory: Path, count: int, size: int) -> None:
    """Commit the work of `count` no-op partitions and print what it cost."""
    store = await SqliteStore.open(directory)
    await store.commit(Changes(jobs=[job(count)]), 1, NOW)
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


async def big_load(directory: Path) -> None:
    """Load 100,000 touched partitions and 300 live executions."""
    count, live = 100_000, 300
    store = await SqliteStore.open(directory)
    await store.commit(Changes(jobs=[job(count)]), 1, NOW)
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
    await store.commit(Changes(jobs=[job(256)]), 1, NOW)
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
