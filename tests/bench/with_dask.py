"""dask.distributed over N programs, in an environment of its own: with_dask.py N WIDTH PROGRAM."""

import json
import os
import subprocess
import sys
import time

import psutil
from distributed import Client, LocalCluster  # type: ignore[import-not-found]


def run(program: str, _: int) -> int:
    """One task."""
    return subprocess.call([program])


def used() -> float:
    """CPU seconds so far of this process, its workers, and what they ran."""
    own = psutil.Process()
    return sum(sum(one.cpu_times()[:4]) for one in [own, *own.children(recursive=True)])


def main(count: int, width: int, program: str) -> dict[str, float]:
    """Wall and CPU seconds from submission to the last result."""
    with (
        LocalCluster(n_workers=width, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.gather(client.map(run, [program] * width, range(-width, 0)))
        began, before = time.perf_counter(), used()
        codes = client.gather(client.map(run, [program] * count, range(count)))
        wall = time.perf_counter() - began
        assert not any(codes), "a task failed"
        return {"wall": wall, "cpu": used() - before}


if __name__ == "__main__":
    os.environ["DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE"] = "False"
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])))  # noqa: T201 - this is the output
