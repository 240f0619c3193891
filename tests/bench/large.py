"""One job of very many partitions on two nodes, and many jobs at once: rate, CPU, memory, and how long a submission takes."""

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from tests.bench.measure import Row, tell
from tests.bench.shoal import PROCESS, Shoal, shoal

SPEC_BYTES = 2_000
SUBMITTED = 10_000
WARM = 1_000
"""Partitions of a job before the one whose memory is looked at: what is taken once, such as caches, is not a partition's."""


def measure(count: int, jobs: int, each: int) -> dict[str, float]:
    """Print rows; the ratios and figures."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as home, shoal(Path(home), nodes=2, is_bare=True) as ours:
        ours.run([ours.job(20, PROCESS)])
        idle = ours.resident
        found["idle_orchestrator_mb"] = idle / 1e6
        found["submit_ms"] = 1000 * submission(ours)
        ours.run([ours.job(WARM, PROCESS)])
        before = ours.resident
        peak = Peak(ours)
        with peak:
            run = ours.run([ours.job(count, PROCESS)])
        row = Row(name="Shoal, one job, two nodes", count=count, runs=(run,))
        tell(str(row))
        told(ours, count)
        after = ours.resident
        found["bytes_per_partition"] = (after - before) / count
        found["bytes_per_partition_at_most"] = (max(peak.most, after) - before) / count
        found["cpu_ms_per_partition_large"] = row.cpu_ms
        told_mb = (
            f"{idle / 1e6:.1f} idle, {before / 1e6:.1f} before, {peak.most / 1e6:.1f} at most, {after / 1e6:.1f} after"
        )
        tell(f"{'':<38}MB of the orchestrator: {told_mb}; a submission of {SUBMITTED}: {found['submit_ms']:.0f} ms")
        run = ours.run([ours.job(each, PROCESS) for _ in range(jobs)])
        row = Row(name=f"Shoal, {jobs} jobs at once, two nodes", count=jobs * each, runs=(run,))
        tell(str(row))
        told(ours, jobs * each)
        found["cpu_ms_per_partition_many_jobs"] = row.cpu_ms
    return found


def told(ours: Shoal, count: int) -> None:
    """Where the CPU of the last run went."""
    parts = ", ".join(f"{name} {1000 * seconds / count:.2f}" for name, seconds in ours.parts.items())
    tell(f"{'':<38}ms of CPU a partition: {parts}")


def submission(ours: Shoal) -> float:
    """Seconds until a job of a 2 kB spec is acknowledged, at best of five; none of its partitions ever runs."""
    took = []
    for _ in range(5):
        task: dict[str, Any] = {**PROCESS, "Env": {f"VARIABLE_{i}": "x" * 80 for i in range(SPEC_BYTES // 95)}}
        job = ours.job(SUBMITTED, task, cpu="64") | {"Tasks": [{**task, "Name": "main", "Resources": {"CPU": "64"}}]}
        began = time.perf_counter()
        job_id = ours.cluster.submit(job)
        took.append(time.perf_counter() - began)
        ours.cluster.request("DELETE", f"/api/v1/orchestrator/jobs/{job_id}")
    return sorted(took)[len(took) // 2]


class Peak:
    """The most memory that the orchestrator holds meanwhile, looked at five times a second."""

    def __init__(self, ours: Shoal) -> None:
        self.most = ours.resident
        self._ours = ours
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._is_over.wait(0.2):
            self.most = max(self.most, self._ours.resident)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
