"""What happens when something dies: nodes, agents, the orchestrator. kill -9 of one thing at a time."""

import re
import signal
import time

import pytest

from tests.conftest import StartCluster
from tests.helpers.jobs import ONCE, shell_job
from tests.helpers.processes import Cluster, environs, wait_until


def running(cluster: Cluster, job_id: str, count: int) -> list[dict[str, object]]:
    """Rows of the running partitions, once there are so many."""

    def rows() -> list[dict[str, object]] | None:
        found = cluster.rows(job_id, "running")
        return found if len(found) == count else None

    return wait_until(rows, 20, f"{count} partitions run")


def programs_of(execution: str) -> list[int]:
    """Pids of the programs of an execution."""
    mark = f"BACALHAU_EXECUTION_ID={execution}".encode()
    return [pid for pid, environ in environs() if mark in environ]


def test_a_lost_node_costs_the_task_nothing(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=2, lease=2, cpu=0.2)
    first, second = cluster.nodes
    job_id = cluster.submit(shell_job("moves", "sleep 4", count=4, Retry=ONCE))
    lost = [row for row in running(cluster, job_id, 4) if row["NodeID"] == first]
    cluster.nodes[first].kill()
    assert cluster.wait_ended(job_id) == "Completed"
    for row in lost:
        before, after = cluster.attempts(job_id, int(str(row["Index"])))
        assert (before["State"], before["Cause"], before["NodeID"]) == ("lost", "node_lost", first)
        assert (after["State"], after["NodeID"]) == ("completed", second)
    assert len(lost) == 2


def test_a_restarted_agent_adopts_what_runs(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1, lease=6)
    (name,) = cluster.nodes
    job_id = cluster.submit(shell_job("adopted", "echo before; sleep 4; echo after", count=2))
    before = {row["Index"]: row["ExecutionID"] for row in running(cluster, job_id, 2)}
    cluster.nodes[name].kill()
    cluster.start_node(name)
    assert cluster.wait_ended(job_id) == "Completed"
    rows = cluster.rows(job_id)
    assert {row["Index"]: row["ExecutionID"] for row in rows} == before
    assert {row["Attempts"] for row in rows} == {1}
    assert cluster.shoal("job", "logs", job_id, "--select", "1").out == "before\nafter\n"


def test_an_agent_that_comes_back_too_late_removes_what_it_left(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=2, lease=2, cpu=0.1)
    job_id = cluster.submit(shell_job("removed", "sleep 3; [ $BACALHAU_ATTEMPT = 2 ] || sleep 60", count=1))
    (row,) = running(cluster, job_id, 1)
    name, execution = str(row["NodeID"]), str(row["ExecutionID"])
    cluster.nodes[name].kill()
    wait_until(lambda: len(cluster.attempts(job_id, 0)) == 2, 15, "a second attempt")
    assert programs_of(execution), "the dead node's program runs on: nobody is there to stop it"
    cluster.start_node(name)
    cluster.wait_connected(name)
    wait_until(lambda: not programs_of(execution), 10, "the restarted agent removed it")
    assert cluster.wait_ended(job_id) == "Completed"
    assert [attempt["Accepted"] for attempt in cluster.attempts(job_id, 0)] == [False, True]


def test_running_partitions_go_on_when_the_orchestrator_is_killed(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=2, lease=4)
    job_id = cluster.submit(shell_job("goes-on", "sleep 4; echo done", count=4, Retry=ONCE))
    before = {row["Index"]: row["ExecutionID"] for row in running(cluster, job_id, 4)}
    assert cluster.serve is not None
    cluster.serve.kill()
    cluster.start_serve()
    assert cluster.wait_ended(job_id) == "Completed"
    rows = cluster.rows(job_id)
    assert {row["Index"]: row["ExecutionID"] for row in rows} == before
    assert {row["Attempts"] for row in rows} == {1}
    assert sorted(cluster.shoal("job", "logs", job_id).out.splitlines()) == [f"{index}.1| done" for index in range(4)]


def test_results_arrive_though_the_orchestrator_was_dead_when_they_were_made(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1, lease=4)
    paths = [{"Name": "out", "Path": "/outputs"}]
    job_id = cluster.submit(shell_job("late", 'sleep 2; echo x >"$BACALHAU_OUTPUTS/x"', count=2, ResultPaths=paths))
    executions = [str(row["ExecutionID"]) for row in running(cluster, job_id, 2)]
    assert cluster.serve is not None
    cluster.serve.kill()
    wait_until(lambda: not any(map(programs_of, executions)), 15, "the programs have ended")
    cluster.start_serve()
    assert cluster.wait_ended(job_id) == "Completed"
    assert {row["Attempts"] for row in cluster.rows(job_id)} == {1}
    got = cluster.shoal("job", "get", job_id)
    assert got.code == 0, got
    assert len(list((cluster.home / f"job-{job_id}").glob("partition-*/out/x"))) == 2


def test_completed_work_is_never_run_again(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=2, lease=2)
    job_id = cluster.submit(shell_job("settled", "true", count=20))
    assert cluster.wait_ended(job_id) == "Completed"
    before = cluster.rows(job_id)
    assert cluster.serve is not None
    for process in (*cluster.nodes.values(), cluster.serve):
        process.kill()
    cluster.start_serve()
    for name in list(cluster.nodes):
        cluster.start_node(name)
    cluster.wait_connected()
    other = cluster.submit(shell_job("other", "true", count=2))
    assert cluster.wait_ended(other) == "Completed"
    assert cluster.rows(job_id) == before
    assert cluster.job_state(job_id) == "Completed"


def test_logs_outlive_the_node(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1, lease=2)
    (name,) = cluster.nodes
    job_id = cluster.submit(shell_job("survives", "echo told; echo complained >&2; exit 4", count=2, Retry=ONCE))
    assert cluster.wait_ended(job_id) == "Failed"
    cluster.nodes[name].kill()
    wait_until(lambda: name not in cluster.connected(), 10, "the node is lost")
    log = cluster.shoal("job", "logs", job_id, "--select", "1")
    assert sorted(log.out.splitlines()) == ["complained", "told"]


def test_what_a_running_partition_wrote_outlives_the_node(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1, lease=2)
    (name,) = cluster.nodes
    job_id = cluster.submit(shell_job("half", "echo half of it; sleep 60", count=1, Retry={"MaxLost": 0}))
    wait_until(
        lambda: cluster.shoal("job", "logs", job_id).out == "half of it\n", 20, "the log is readable while it runs"
    )
    wait_until(lambda: shipped(cluster, job_id) > 0, 20, "a chunk is with the orchestrator")
    cluster.nodes[name].kill()
    assert cluster.wait_ended(job_id) == "Failed"
    assert cluster.shoal("job", "logs", job_id).out == "half of it\n"
    assert cluster.rows(job_id)[0]["Cause"] == "node_lost"


def shipped(cluster: Cluster, job_id: str) -> int:
    """Bytes of partition 0's stdout that the orchestrator has."""
    path = f"/api/v1/orchestrator/jobs/{job_id}/partitions/0/attempts/1/log?stream=out&offset=0&limit=100"
    size: int = cluster.get(path)["Size"]
    return size


def test_following_logs_outlasts_a_lost_node(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=2, lease=2, cpu=1)
    job_id = cluster.submit(shell_job("followed", "echo begun; sleep 3; echo done", count=20))
    follower = cluster.spawn("job", "logs", job_id, "-f")
    running(cluster, job_id, 20)
    next(iter(cluster.nodes.values())).kill()
    out, err = follower.communicate(timeout=40)
    assert follower.returncode == 0, err
    finished = re.findall(r"^(\d+)\.\d+\| done$", out, re.MULTILINE)
    assert sorted(map(int, finished)) == list(range(20))


@pytest.mark.parametrize("is_back_in_time", [True, False], ids=["within-its-lease", "after-its-lease"])
def test_stop_reaches_a_node_that_was_cut_off(start_cluster: StartCluster, *, is_back_in_time: bool) -> None:
    cluster = start_cluster(nodes=1, lease=8 if is_back_in_time else 2)
    (agent,) = cluster.nodes.values()
    job_id = cluster.submit(shell_job("cut-off", "sleep 60", count=2))
    executions = [str(row["ExecutionID"]) for row in running(cluster, job_id, 2)]
    agent.signal(signal.SIGSTOP)
    assert cluster.shoal("job", "stop", job_id).code == 0
    assert cluster.job_state(job_id) == "Stopped"
    if is_back_in_time:
        assert len(cluster.rows(job_id, "stopping")) == 2
    else:
        wait_until(lambda: not cluster.connected(), 10, "its lease is over")
    assert all(map(programs_of, executions)), "nobody could tell the node yet"
    agent.signal(signal.SIGCONT)
    wait_until(lambda: not any(map(programs_of, executions)), 15, "the node stopped them when it was back")
    wait_until(lambda: len(cluster.rows(job_id, "stopped")) == 2, 15, "nothing is stopping any more")


def test_a_node_that_hears_nothing_stops_its_work_by_its_own_fence(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1, lease=1, fence=3)
    job_id = cluster.submit(shell_job("fenced", "sleep 60", count=2))
    executions = [str(row["ExecutionID"]) for row in running(cluster, job_id, 2)]
    assert cluster.serve is not None
    cluster.serve.kill()
    killed = time.monotonic()
    wait_until(lambda: not any(map(programs_of, executions)), 12, "the fence was over")
    assert time.monotonic() - killed > 1.5, "it waited for its fence, not for the first error"
