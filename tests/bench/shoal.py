"""Shoal as its users have it: a real orchestrator, durable, and real node agents, each a process of its own."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.measure import Run, resident, used
from tests.helpers.processes import JOBS, SERVE, TERMINAL, Cluster

PAUSE = 0.1
"""Seconds between two looks at a job: they are the orchestrator's work, too. When it ended, it tells itself."""


class Shoal:
    """One cluster: submits jobs, and tells what they cost and whom."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.number = 0
        self.parts: dict[str, float] = {}
        """CPU seconds of the last run: of the orchestrator, the agents, and the programs."""

    def job(self, count: int, task: dict[str, Any], cpu: str = "1") -> dict[str, Any]:
        """A job of `count` partitions that each take a slot of `cpu` cores."""
        self.number += 1
        task = {"Name": "main", "Resources": {"CPU": cpu, "Memory": "64mb"}, **task}
        return {"Name": f"bench-{self.number}", "Type": "batch", "Count": count, "Tasks": [task]}

    def run(self, jobs: Sequence[dict[str, Any]], within: float = 3600) -> Run:
        """Submit all jobs, one after the other, and wait for their ends."""
        before, began = self.used(), time.time()
        ids = [self.cluster.submit(job) for job in jobs]
        wall = self.wait(ids, within) - began
        self.parts = {name: seconds - before[name] for name, seconds in self.used().items()}
        return Run(wall=wall, cpu=sum(self.parts.values()))

    def wait(self, ids: Sequence[str], within: float) -> float:
        """Wait until all have completed; when the last one did, as seconds since 1970. AssertionError if one ends otherwise."""
        deadline = time.perf_counter() + within
        ends: list[float] = []
        for job_id in ids:
            while (job := self.cluster.get(f"{JOBS}/{job_id}")["Job"])["State"]["StateType"] not in TERMINAL:
                assert time.perf_counter() < deadline, f"{job_id} has not ended after {within:g} s"
                time.sleep(PAUSE)
            assert job["State"]["StateType"] == "Completed", job
            ends.append(job["ModifyTime"] / 1e9)
        return max(ends)

    def used(self) -> dict[str, float]:
        """CPU seconds so far, by part."""
        assert self.cluster.serve is not None
        agents = [used(node.popen.pid) for node in self.cluster.nodes.values()]
        return {
            "orchestrator": sum(used(self.cluster.serve.popen.pid)),
            "agent": sum(own for own, _ in agents),
            "programs": sum(children for _, children in agents),
        }

    @property
    def resident(self) -> int:
        """Bytes that the orchestrator holds."""
        assert self.cluster.serve is not None
        return resident(self.cluster.serve.popen.pid)


PROCESS = {"Engine": {"Type": "process", "Params": {"Command": "/bin/true"}}}


@contextmanager
def shoal(
    home: Path,
    *,
    nodes: int = 1,
    cpu: float = 2,
    engines: str = "process",
    is_bare: bool = False,
    orchestrator: Sequence[str] = SERVE,
) -> Iterator[Shoal]:
    """A cluster of `nodes` nodes of `cpu` cores each. `is_bare`: they find no bubblewrap."""
    cluster = Cluster(home, lease=30.0)
    try:
        cluster.start_serve(program=orchestrator)
        environ = cluster.environ
        cluster.environ = environ | ({"PATH": str(home)} if is_bare else {})
        for number in range(1, nodes + 1):
            cluster.start_node(cluster.node(number), cpu=cpu, engines=engines)
        cluster.environ = environ
        if nodes:
            cluster.wait_connected()
        yield Shoal(cluster)
    finally:
        cluster.close()
