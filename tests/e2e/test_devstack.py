"""`devstack` with real processes: ready, a job runs, what dies comes back, and nothing is left."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.processes import SHOAL, Cluster, environs, tail, wait_until


class Devstack(Cluster):
    """A cluster that one command started."""

    def start(self) -> "subprocess.Popen[str]":
        argv = [
            str(SHOAL),
            "devstack",
            "--nodes",
            "2",
            "--port",
            str(self.port),
            "--data-dir",
            str(self.home / "stack"),
        ]
        argv += ["--lease", "4s"]
        with (self.home / "devstack.log").open("w") as log:
            self.popen = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, text=True, env=self.environ)
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        assert line == f"ready {self.url}\n", tail(self.home / "devstack.log")
        return self.popen

    def pids(self, *words: str) -> list[int]:
        """Processes of ours whose command line has these words."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                argv = path.read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if any(str(self.home) in word for word in argv) and set(words) <= set(argv):
                found.append(int(path.parent.name))
        return found


@pytest.fixture
def devstack(tmp_path: Path) -> Iterator[Devstack]:
    stack = Devstack(tmp_path / "home")
    popen = stack.start()
    yield stack
    if popen.poll() is None:
        popen.kill()
    popen.wait()
    assert popen.stdout is not None
    popen.stdout.close()


def test_a_devstack_survives_its_children_and_leaves_nothing(devstack: Devstack) -> None:
    assert devstack.shoal("process", "run", "--count", "3", "--", "true").code == 0

    job = devstack.shoal("process", "run", "--wait=false", "--count", "4", "--", "sleep", "600")
    job_id = job.out.strip()
    wait_until(lambda: devstack.rows(job_id, "running"), 15, "something runs")
    (agent,) = devstack.pids("node", "n1")
    os.kill(agent, signal.SIGKILL)
    wait_until(lambda: devstack.pids("node", "n1") not in ([], [agent]), 15, "the agent is there again")
    wait_until(lambda: {"n1", "n2"} <= devstack.connected(), 15, "both nodes are connected")
    assert "n1 ended with SIGKILL" in tail(devstack.home / "devstack.log")

    devstack.popen.send_signal(signal.SIGTERM)
    assert devstack.popen.wait(30) == 0
    assert devstack.pids() == []
    mark = f"BACALHAU_JOB_ID={job_id}".encode()
    assert [pid for pid, environ in environs() if mark in environ] == []


def test_a_devstack_that_is_killed_takes_its_children_along(devstack: Devstack) -> None:
    assert len(devstack.pids("-m")) == 3
    devstack.popen.kill()
    wait_until(lambda: not devstack.pids("-m"), 20, "the children are gone")
