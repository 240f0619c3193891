"""A Docker engine that is restarted in the middle of a job, or late, and containers that do not care for signals."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartCluster
from tests.helpers.docker import PrivateEngine, build_image, private_engine
from tests.helpers.jobs import ONCE, docker_job
from tests.helpers.late_engine import late_engine
from tests.helpers.processes import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("engines")]


@pytest.fixture
def engine() -> Iterator[PrivateEngine]:
    with private_engine() as found:
        build_image("busybox", found.host)
        yield found


def test_an_engine_restarted_in_the_middle_of_a_job_costs_the_task_nothing(
    start_cluster: StartCluster, engine: PrivateEngine
) -> None:
    cluster = start_cluster(nodes=1, lease=10, cpu=0.4, engines="docker", environ={"DOCKER_HOST": engine.host})
    script = 'sleep 7; echo "did $BACALHAU_PARTITION_INDEX"'
    job_id = cluster.submit(docker_job("restart", "busybox", "sh", "-c", script, count=8, Retry=ONCE))
    wait_until(lambda: len(cluster.rows(job_id, "running")) == 4, 30, "four run")
    engine.end()
    time.sleep(2)  # an engine that is away for a while, as when it is upgraded
    engine.start()
    assert cluster.wait_ended(job_id, 90) == "Completed", cluster.rows(job_id, "failed")
    for index in range(8):
        *before, last = cluster.attempts(job_id, index)
        assert last["Accepted"]
        assert {attempt["Cause"] for attempt in before} <= {"agent"}, before
    logs = cluster.shoal("job", "logs", job_id).out.splitlines()
    assert sorted(line.partition("| ")[2] for line in logs) == [f"did {index}" for index in range(8)]
    wait_until(lambda: not engine.containers(), 30, "no container is left")


def test_a_container_that_ignores_sigterm_is_gone_when_stopped(
    start_cluster: StartCluster, engine: PrivateEngine
) -> None:
    cluster = start_cluster(nodes=1, lease=10, engines="docker", environ={"DOCKER_HOST": engine.host})
    script = 'trap "" TERM INT HUP; echo began; while :; do sleep 1; done'
    job_id = cluster.submit(docker_job("stubborn", "busybox", "sh", "-c", script, Retry=ONCE))
    wait_until(lambda: cluster.shoal("job", "logs", job_id).out == "began\n", 30, "it has set its trap")
    began = time.monotonic()
    assert cluster.shoal("job", "stop", job_id).code == 0
    assert cluster.job_state(job_id) == "Stopped"
    wait_until(lambda: not engine.containers(), 30, "it is gone")
    assert time.monotonic() - began > 3, "it was asked first"
    wait_until(lambda: len(cluster.rows(job_id, "stopped")) == 1, 10, "and the node said so")


@pytest.mark.parametrize("is_killed", [True, False], ids=["agent-killed", "job-stopped"])
def test_a_container_that_is_made_when_nobody_wants_it_any_more_does_not_stay(
    start_cluster: StartCluster, engine: PrivateEngine, tmp_path: Path, *, is_killed: bool
) -> None:
    with late_engine(engine, tmp_path / "late.sock") as late:
        cluster = start_cluster(nodes=1, lease=10, engines="docker", environ={"DOCKER_HOST": late.host})
        late.hold_next()
        retry = {"MaxAttempts": 1, "MaxLost": 10}
        job_id = cluster.submit(docker_job("late", "busybox", "sh", "-c", "echo ran", Retry=retry))
        wait_until(late.holds.is_set, 30, "the order to make it is on its way")
        if is_killed:
            (name,) = cluster.nodes
            cluster.nodes[name].kill()
            cluster.start_node(name)
            assert cluster.wait_ended(job_id) == "Completed"
            wait_until(lambda: not engine.containers(), 20, "what ran afterwards is removed")
        else:
            assert cluster.shoal("job", "stop", job_id).code == 0
            wait_until(lambda: len(cluster.rows(job_id, "stopped")) == 1, 20, "the node said so")
        assert not late.answer
        late.let_go()
        wait_until(lambda: late.answer, 30, "the engine has carried it out")
        assert late.answer.startswith(b"HTTP/1.1 201 "), late.answer
        wait_until(lambda: not engine.containers(), 20, "no container is left")
