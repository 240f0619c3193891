"""Every failure has a cause: one test a cause, each made by the thing itself."""

import contextlib
import os
import signal
from typing import Any

import pytest

from tests.conftest import StartCluster
from tests.helpers.jobs import ONCE, shell_job
from tests.helpers.processes import Cluster, wait_until

MISSING = {"Source": {"Type": "local", "Params": {"SourcePath": "/nowhere/allowed"}}, "Target": "/inputs"}


@pytest.mark.parametrize(
    ("cause", "code", "message", "script", "fields"),
    [
        ("exit", 7, "seven it is", "echo seven it is >&2; exit 7", {}),
        ("signal", 128 + signal.SIGKILL, "", "kill -9 $$", {}),
        ("oom", None, "", "head -c 300000000 /dev/zero | tail -c 300000000 >/dev/null", {}),
        ("timeout", None, "", "sleep 60", {"Timeouts": {"ExecutionTimeout": 1}}),
        ("input", None, "/nowhere/allowed", "true", {"InputSources": [MISSING]}),
    ],
)
def test_cause_of_a_failure(
    shared: Cluster, cause: str, code: int | None, message: str, script: str, fields: dict[str, Any]
) -> None:
    job_id = shared.submit(shell_job(f"cause-{cause}", script, Retry=ONCE, **fields))
    assert shared.wait_ended(job_id) == "Failed"
    (row,) = shared.rows(job_id)
    assert (row["State"], row["Cause"]) == ("failed", cause)
    assert code is None or row["ExitCode"] == code
    assert message in row["Message"]
    (group,) = shared.get(f"/api/v1/orchestrator/jobs/{job_id}/failures")["Items"]
    assert (group["Cause"], group["Count"], group["Partitions"]) == (cause, 1, "0")


@pytest.mark.parametrize(
    ("program", "code"),
    [("no-such-program", 127), ("/etc/passwd", 126)],
    ids=["not-found", "not-executable"],
)
def test_a_program_that_cannot_be_started_is_an_exit(shared: Cluster, program: str, code: int) -> None:
    job = shell_job(f"start-{code}", "", Retry=ONCE)
    job["Tasks"][0]["Engine"]["Params"] = {"Command": program}
    job_id = shared.submit(job)
    assert shared.wait_ended(job_id) == "Failed"
    (row,) = shared.rows(job_id)
    assert (row["Cause"], row["ExitCode"]) == ("exit", code)
    assert program in row["Message"]


def test_output_limit(shared: Cluster) -> None:
    job_id = shared.submit(shell_job("cause-output", "head -c 1200000000 /dev/zero; sleep 60", Retry=ONCE))
    assert shared.wait_ended(job_id, 90) == "Failed"
    (row,) = shared.rows(job_id)
    assert row["Cause"] == "output_limit"


def test_node_lost(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1, lease=1)
    job_id = cluster.submit(shell_job("cause-lost", "sleep 60", Retry={"MaxLost": 0}))
    wait_until(lambda: cluster.rows(job_id, "running"), 15, "it runs")
    next(iter(cluster.nodes.values())).kill()
    assert cluster.wait_ended(job_id) == "Failed"
    assert cluster.rows(job_id)[0]["Cause"] == "node_lost"


def test_agent_that_cannot_go_on_with_it(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1, lease=20)
    (name,) = cluster.nodes
    job_id = cluster.submit(shell_job("cause-agent", "sleep 60", Retry={"MaxLost": 0}))
    wait_until(lambda: cluster.rows(job_id, "running"), 15, "it runs")
    cluster.nodes[name].kill()
    for pid in cluster.programs():  # the machine was rebooted: nothing of it is left, and nobody saw how it ended
        with contextlib.suppress(ProcessLookupError):  # it went with the one before
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not cluster.programs(), 5, "its programs are gone")
    cluster.start_node(name)
    assert cluster.wait_ended(job_id) == "Failed"
    assert cluster.rows(job_id)[0]["Cause"] == "agent"


def test_cancelled(shared: Cluster) -> None:
    job_id = shared.submit(shell_job("cause-cancelled", "sleep 60"))
    wait_until(lambda: shared.rows(job_id, "running"), 15, "it runs")
    assert shared.shoal("job", "stop", job_id).code == 0
    wait_until(lambda: shared.rows(job_id, "stopped"), 15, "it stopped")
    (attempt,) = shared.attempts(job_id, 0)
    assert attempt["Cause"] == "cancelled"
