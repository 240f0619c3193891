"""Real kills: a node or the orchestrator is killed with -9 every second or so, agents are frozen beyond their lease.

Short in `make test`; `make soak-kills` does it for two minutes with 300 partitions (SOAK_KILLS_SECONDS, a seed as SEED).
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartCluster
from tests.helpers.docker import PrivateEngine, build_image, private_engine
from tests.helpers.jobs import ONCE, docker_job, shell_job
from tests.helpers.mayhem import Mayhem, check_history, stdout_of, wait_nothing_runs, witnessed_job
from tests.helpers.processes import Cluster, wait_until

SECONDS = float(os.environ.get("SOAK_KILLS_SECONDS", "0"))
IS_SOAK = SECONDS > 0
SEED = int(os.environ.get("SEED") or random.randrange(1 << 32))
COUNT, TASK_SECONDS = (300, 3.0) if IS_SOAK else (50, 1.5)
LEAST_KILLS = 4
TOOLS = ("sh", "sleep", "date", "cat", "true")


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    with private_engine() as found:
        build_image("busybox", found.host)
        yield found


def bare_path(home: Path) -> str:
    """A PATH on which bubblewrap is not found."""
    tools = home / "tools"
    tools.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (tools / tool).symlink_to(found)
    return str(tools)


@pytest.mark.timeout(SECONDS + 180)
@pytest.mark.parametrize("kind", ["bare", "bubblewrap"])
def test_partitions_survive_kills_of_everything(start_cluster: StartCluster, tmp_path: Path, kind: str) -> None:
    if kind == "bubblewrap" and shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    environ = {"PATH": bare_path(tmp_path)} if kind == "bare" else {}
    witnesses = tmp_path / "witnesses"
    witnesses.mkdir()
    cluster = start_cluster(nodes=3, lease=3, cpu=0.3, flags=("--allow-path", f"{witnesses}:rw"), environ=environ)
    job = witnessed_job("kills", witnesses, TASK_SECONDS, COUNT)
    survive(cluster, job, witnesses)


@pytest.mark.docker
@pytest.mark.xdist_group("engines")
@pytest.mark.timeout(SECONDS + 240)
def test_containers_survive_kills_of_everything(
    start_cluster: StartCluster, tmp_path: Path, engine: PrivateEngine
) -> None:
    witnesses = tmp_path / "witnesses"
    witnesses.mkdir()
    cluster = start_cluster(
        nodes=3,
        lease=3,
        cpu=0.3,
        engines="docker",
        flags=("--allow-path", f"{witnesses}:rw"),
        environ={"DOCKER_HOST": engine.host},
    )
    job = witnessed_job("kills", witnesses, TASK_SECONDS, COUNT)
    task = job["Tasks"][0]
    script = task["Engine"]["Params"]["Arguments"][1]
    task["Engine"] = {"Type": "docker", "Params": {"Image": "busybox", "Parameters": ["sh", "-c", script]}}
    survive(cluster, job, witnesses)
    wait_until(lambda: not engine.containers(), 20, "no container is left")


def survive(cluster: Cluster, job: dict[str, object], witnesses: Path) -> None:
    """Submit the job, break things, let them heal, and look at what became of it."""
    mayhem = Mayhem(cluster, cluster.submit(job), SEED)
    try:
        mayhem.go_on(SECONDS or 10.0, LEAST_KILLS)
        assert cluster.wait_ended(mayhem.job_id, 120) == "Completed"
        mayhem.look()
        assert len(mayhem.accepted) == COUNT
        check_history(cluster, mayhem.job_id, witnesses, COUNT)
        wait_nothing_runs(cluster)
        mayhem.look()
    except AssertionError as error:
        error.add_note(f"SEED={SEED}, after {mayhem.kills} kills and {mayhem.freezes} freezes")
        raise


def exits_while_its_agent_is_away(cluster: Cluster, job: dict[str, object], *, is_killed: bool) -> None:
    """Partition 0 ends with 0, partition 1 with 3, while nobody looks; both are told as they were."""
    (name,) = cluster.nodes
    job_id = cluster.submit(job)
    wait_until(lambda: len(cluster.rows(job_id, "running")) == 2, 20, "both run")
    agent = cluster.nodes[name]
    if is_killed:
        agent.kill()
    else:
        agent.signal(signal.SIGSTOP)
    time.sleep(2.5)  # the partitions take 2 s, and nobody may look at them
    if is_killed:
        cluster.start_node(name)
    else:
        agent.signal(signal.SIGCONT)
    assert cluster.wait_ended(job_id) == "Failed"
    rows = cluster.rows(job_id)
    assert [(row["State"], row["ExitCode"], row["Cause"]) for row in rows] == [
        ("completed", 0, ""),
        ("failed", 3, "exit"),
    ]
    assert [row["Attempts"] for row in rows] == [1, 1]
    assert [stdout_of(cluster, job_id, index, 1) for index in range(2)] == ["said 0\n", "said 1\n"]


QUIET = 'sleep 2; echo "said $BACALHAU_PARTITION_INDEX"; [ "$BACALHAU_PARTITION_INDEX" = 0 ] || exit 3'


@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "frozen"])
def test_a_sandbox_keeps_the_exit_code_while_its_agent_is_away(start_cluster: StartCluster, *, is_killed: bool) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed: a bare program's exit code goes with its agent")
    cluster = start_cluster(nodes=1, lease=15)
    exits_while_its_agent_is_away(cluster, shell_job("away", QUIET, count=2, Retry=ONCE), is_killed=is_killed)


@pytest.mark.docker
@pytest.mark.xdist_group("engines")
@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "frozen"])
def test_a_container_keeps_the_exit_code_while_its_agent_is_away(
    start_cluster: StartCluster, engine: PrivateEngine, *, is_killed: bool
) -> None:
    cluster = start_cluster(nodes=1, lease=15, engines="docker", environ={"DOCKER_HOST": engine.host})
    job = docker_job("away", "busybox", "sh", "-c", QUIET, count=2, Retry=ONCE)
    exits_while_its_agent_is_away(cluster, job, is_killed=is_killed)
