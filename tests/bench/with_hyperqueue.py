"""HyperQueue's LocalCluster over N programs, in an environment of its own: with_hyperqueue.py N WIDTH PROGRAM.

Its client looks once a second; so the end is told by a last task of lowest priority, which only a free worker takes.
"""

import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from hyperqueue import Job, LocalCluster  # type: ignore[import-not-found]
from hyperqueue.cluster import WorkerConfig  # type: ignore[import-not-found]


def main(count: int, width: int, program: str) -> dict[str, float]:
    """Wall and CPU seconds from submission to the end of the last task."""
    flag = Path(tempfile.mkdtemp()) / "ended"
    with LocalCluster() as cluster:
        cluster.start_worker(WorkerConfig(cores=width))
        client = cluster.client()
        job = Job()
        for _ in range(count):
            job.program([program], stdout=None, stderr=None)
        job.program(["touch", str(flag)], stdout=None, stderr=None, priority=-1000)
        began, used = time.perf_counter(), sum(os.times()[:4])
        submitted = client.submit(job)
        waiter = threading.Thread(target=client.wait_for_jobs, args=([submitted],))
        waiter.start()
        while not flag.exists():
            time.sleep(0.01)
        wall = time.perf_counter() - began
        waiter.join()
        return {"wall": wall, "cpu": sum(os.times()[:4]) - used}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])))  # noqa: T201 - this is the output
