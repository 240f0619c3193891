"""One command runs a whole cluster in the foreground, keeps it alive, and takes it down."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.helpers.jobs import ONCE, shell_job
from tests.helpers.processes import SHOAL, Cluster, environs, wait_until


class Stack(Cluster):
    """A cluster that `devstack` runs: started and ended by it alone."""

    def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        argv = [
            str(SHOAL),
            "devstack",
            "--nodes",
            "2",
            "--engines",
            "process",
            "--port",
            str(self.port),
            "--lease",
            "4s",
        ]
        self.popen = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environ, text=True, start_new_session=True
        )
        assert self.popen.stdout is not None
        self.said = self.popen.stdout.readline()

    def child(self, *words: str) -> psutil.Process | None:
        """The process of the stack whose command line has all these words."""
        children = psutil.Process(self.popen.pid).children()
        return next((child for child in children if set(words) <= set(child.cmdline())), None)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path)
    stack.start()
    yield stack
    if stack.popen.poll() is None:
        stack.popen.terminate()
        stack.popen.wait(30)
    assert stack.popen.stdout is not None
    stack.popen.stdout.close()


def programs(job_id: str) -> list[int]:
    """Pids of the programs of a job."""
    return [pid for pid, environ in environs() if f"BACALHAU_JOB_ID={job_id}".encode() in environ]


def test_devstack_says_when_it_is_ready_and_takes_all_of_it_down(stack: Stack) -> None:
    assert stack.said == f"ready {stack.url}\n"
    assert stack.connected() == {"n1", "n2"}
    done = stack.shoal("process", "run", "--count", "4", "--", "true")
    assert done.code == 0, done
    job_id = stack.submit(shell_job("endless", "sleep 300", count=2))
    wait_until(lambda: len(stack.rows(job_id, "running")) == 2, 15, "both run")
    children = psutil.Process(stack.popen.pid).children()
    assert len(children) == 3

    stack.popen.send_signal(signal.SIGTERM)
    stack.popen.wait(30)
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    assert not programs(job_id)


def test_devstack_starts_again_what_died_and_the_work_goes_on(stack: Stack) -> None:
    job_id = stack.submit(shell_job("survives", "sleep 5", count=2, Retry=ONCE))
    wait_until(lambda: len(stack.rows(job_id, "running")) == 2, 15, "both run")
    before = [row["ExecutionID"] for row in stack.rows(job_id)]
    for words in (("orchestrator",), ("node", "n1")):
        found = stack.child(*words)
        assert found is not None
        os.kill(found.pid, signal.SIGKILL)
    wait_until(lambda: stack.answers("/readyz"), 15, "the orchestrator is back")
    assert stack.wait_ended(job_id) == "Completed"
    assert [row["ExecutionID"] for row in stack.rows(job_id)] == before
