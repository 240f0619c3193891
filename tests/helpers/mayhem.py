"""Kills and freezes what a cluster of real processes consists of, at random but by a seed, and looks at what comes of it."""

import base64
import random
import signal
import time
from pathlib import Path
from typing import Any

from tests.helpers.jobs import shell_job
from tests.helpers.processes import JOBS, Cluster, wait_until

SCRIPT = """
    file="$BACALHAU_INPUTS/$BACALHAU_PARTITION_INDEX.$BACALHAU_EXECUTION_ID"
    date +%s >>"$file.began"
    echo "partition $BACALHAU_PARTITION_INDEX began"
    sleep {seconds}
    date +%s >>"$file.ended"
    echo "partition $BACALHAU_PARTITION_INDEX ended"
"""
"""Writes down in the witnesses' directory, outside of Shoal, which execution began and ended, and how often."""


def witnessed_job(name: str, witnesses: Path, seconds: float, count: int) -> dict[str, Any]:
    """A job whose partitions take so many seconds and leave files. Nothing that is lost may be billed to the task."""
    params = {"SourcePath": str(witnesses), "ReadWrite": True}
    return shell_job(
        name,
        SCRIPT.format(seconds=seconds),
        count=count,
        Retry={"MaxAttempts": 1, "MaxLost": 100},
        InputSources=[{"Source": {"Type": "local", "Params": params}, "Target": "/witnesses"}],
    )


class Mayhem:
    """Breaks a cluster for a while, and watches that what was accepted stays so."""

    def __init__(self, cluster: Cluster, job_id: str, seed: int) -> None:
        self.cluster = cluster
        self.job_id = job_id
        self.chance = random.Random(seed)
        self.accepted: dict[int, str] = {}
        """The execution that was first seen as the accepted one of a partition."""
        self.kills = self.freezes = 0
        self._due: list[tuple[float, str]] = []
        """When a node that is dead or frozen comes back."""

    def go_on(self, seconds: float, least: int) -> None:
        """Break something every second or so, until at least so many were killed; at the end all is up again."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline or self.kills < least:
            began = time.monotonic()
            self._bring_back(began)
            self._break_one(began)
            self.look()
            time.sleep(max(0.0, self.chance.uniform(0.7, 1.3) - (time.monotonic() - began)))
        self._bring_back(float("inf"))

    def _break_one(self, now: float) -> None:
        away = {name for _, name in self._due}
        names = [name for name in self.cluster.nodes if name not in away]
        victim = self.chance.choice(["", *names])
        if not victim:
            assert self.cluster.serve is not None
            self.cluster.serve.kill()
            self.kills += 1
            self.cluster.start_serve()
        elif self.chance.random() < 0.3:
            self.cluster.nodes[victim].signal(signal.SIGSTOP)
            self.freezes += 1
            self._due.append((now + self.cluster.lease + self.chance.uniform(1, 2), victim))
        else:
            self.cluster.nodes[victim].kill()
            self.kills += 1
            self._due.append((now + self.chance.choice([0.0, 1.0, self.cluster.lease + 1]), victim))

    def _bring_back(self, now: float) -> None:
        for due, name in list(self._due):
            if due <= now:
                self._due.remove((due, name))
                process = self.cluster.nodes[name]
                if process.is_running:
                    process.signal(signal.SIGCONT)
                else:
                    self.cluster.start_node(name)

    def look(self) -> None:
        """What was accepted is accepted still, and by the same execution."""
        rows = {row["Index"]: row for row in self.cluster.rows(self.job_id, "completed")}
        for index, execution in self.accepted.items():
            assert index in rows, f"partition {index} was completed by {execution} and is not any more"
            assert rows[index]["ExecutionID"] == execution
        self.accepted |= {index: row["ExecutionID"] for index, row in rows.items()}


def check_history(cluster: Cluster, job_id: str, witnesses: Path, count: int) -> None:
    """Every partition has one accepted success, its last attempt, whose files and log are whole; none ran twice."""
    told: dict[str, int] = {path.name: len(path.read_text().splitlines()) for path in witnesses.iterdir()}
    assert {name: times for name, times in told.items() if times != 1} == {}, "an execution was started again"
    attempts_of = {}
    for index in range(count):
        attempts = attempts_of[index] = cluster.attempts(job_id, index)
        accepted = [attempt for attempt in attempts if attempt["Accepted"]]
        assert accepted == attempts[-1:], f"partition {index}: one accepted success, and nothing after it: {attempts}"
        assert (accepted[0]["State"], accepted[0]["ExitCode"]) == ("completed", 0)
        assert all(attempt["Cause"] in {"node_lost", "agent", "withdrawn"} for attempt in attempts[:-1]), attempts
        assert f"{index}.{accepted[0]['ExecutionID']}.ended" in told, f"partition {index} did not run to its end"
        log = stdout_of(cluster, job_id, index, accepted[0]["Attempt"])
        assert log == f"partition {index} began\npartition {index} ended\n", (index, attempts)
    known = {f"{index}.{attempt['ExecutionID']}" for index, attempts in attempts_of.items() for attempt in attempts}
    assert {name.rpartition(".")[0] for name in told} <= known, "something ran that nobody asked for"


def wait_nothing_runs(cluster: Cluster) -> None:
    """No program of the cluster's nodes is left, and every node is connected."""
    cluster.wait_connected(within=40)
    wait_until(lambda: not cluster.programs(), 20, "no program is left")


def stdout_of(cluster: Cluster, job_id: str, index: int, attempt: int) -> str:
    """What the orchestrator has of an attempt's stdout."""
    piece = cluster.get(f"{JOBS}/{job_id}/partitions/{index}/attempts/{attempt}/log?stream=out")
    return base64.b64decode(piece["Data"]).decode()
