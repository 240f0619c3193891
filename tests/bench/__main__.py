"""Benchmarks of a real cluster on this machine: python -m tests.bench [--quick]. Prints one line a number."""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.helpers.jobs import shell_job
from tests.helpers.processes import SHOAL, Cluster


def seconds(work: Callable[[], object], times: int = 1) -> float:
    """Median time of a call."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def command(cluster: Cluster, *args: str) -> None:
    """Run the CLI, its output thrown away."""
    subprocess.run([SHOAL, *args], env=cluster.environ, stdout=subprocess.DEVNULL, check=True)


def tell(name: str, value: float, unit: str, limit: str = "") -> None:
    """One line of the result."""
    print(f"{name:<44}{value:>10.2f} {unit:<14}{limit}", flush=True)  # noqa: T201 - this is the output


def main(*, is_quick: bool) -> int:
    """Measure, print."""
    times = 3 if is_quick else 9
    count = 1_000 if is_quick else 10_000
    with tempfile.TemporaryDirectory() as home:
        cluster = Cluster(Path(home))
        try:
            cluster.start_serve()
            cluster.start_node(cluster.node(1), cpu=2)
            cluster.wait_connected()
            tell("shoal --help", seconds(lambda: command(cluster, "--help"), times), "s", "limit 0.25")
            listed = seconds(lambda: command(cluster, "job", "list", "--json"), times)
            tell("shoal job list --json", listed, "s", "limit 0.25")
            processes = {"orchestrator": cluster.serve, "node": cluster.nodes[cluster.node(1)]}
            for name, process in processes.items():
                assert process is not None
                resident = psutil.Process(process.popen.pid).memory_info().rss / 1e6
                tell(f"idle {name}, resident", resident, "MB", "limit 90" if name == "orchestrator" else "limit 60")

            job = shell_job("many", "", count=count, cpu="50m")
            job["Tasks"][0]["Engine"]["Params"] = {"Command": "true"}
            began = time.perf_counter()
            job_id = cluster.submit(job)
            cluster.wait_ended(job_id, 1800)
            tell(f"{count:,} partitions of `true` on one node", count / (time.perf_counter() - began), "partitions/s")

            large = shell_job("large", "true", count=100_000, cpu="64", Timeouts={"QueueTimeout": 3600})
            tell("submit a job of 100,000 partitions", seconds(lambda: cluster.submit(large)), "s")
            grid = seconds(lambda: cluster.get("/api/v1/orchestrator/jobs/large/partitions"), times)
            tell("its packed grid", grid * 1000, "ms")
        finally:
            cluster.close()
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, smaller jobs")
    sys.exit(main(is_quick=parser.parse_args().quick))
