"""Partitions in containers: the announcement's two commands, causes of images, adoption. The engine is the tests' own."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartCluster
from tests.helpers.docker import PrivateEngine, build_image, docker, private_engine, registry
from tests.helpers.jobs import ONCE, QUICK, docker_job
from tests.helpers.processes import ROOT, Cluster, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("engines")]

SAMPLES = ROOT / "samples"


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    with private_engine() as found:
        for tag in ("ubuntu", "busybox"):
            build_image(tag, found.host)
        yield found


@pytest.fixture(scope="module")
def containers(engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes of the docker engine, for tests that break nothing."""
    start = StartCluster(tmp_path_factory.mktemp("containers"))
    try:
        flags = ("--allow-path", f"{SAMPLES}/**")
        yield start(nodes=3, lease=10, engines="docker", flags=flags, environ={"DOCKER_HOST": engine.host})
    finally:
        start.close()


def test_first_command_of_the_announcement(containers: Cluster) -> None:
    script = "echo Partition=$BACALHAU_PARTITION_INDEX"
    done = containers.shoal("docker", "run", "--count", "3", "ubuntu", "--", "sh", "-c", script)
    assert done.code == 0, done
    assert all(f"Partition {index}: ✓ Completed" in done.out for index in range(3)), done
    log = containers.shoal("job", "logs", "@last")
    assert sorted(log.out.splitlines()) == [f"{index}.1| Partition={index}" for index in range(3)]


def test_second_command_of_the_announcement(containers: Cluster) -> None:
    done = containers.shoal("job", "run", SAMPLES / "partition.yaml")
    assert done.code == 0, done
    assert "Job with 3 partitions:" in done.out
    log = containers.shoal("job", "logs", "Partitioned Job")
    assert sorted(log.out.splitlines()) == [f"{index}.1| Partition={index}" for index in range(3)]


def test_environment_of_a_container_is_exact(containers: Cluster) -> None:
    job_id = containers.submit(docker_job("who", "ubuntu", "env", count=2))
    assert containers.wait_ended(job_id) == "Completed"
    row = containers.rows(job_id, "1")[0]
    log = containers.shoal("job", "logs", job_id, "--select", "1").out
    assert dict(re.findall(r"^(BACALHAU_\w+)=(.*)$", log, re.MULTILINE)) == {
        "BACALHAU_ATTEMPT": "1",
        "BACALHAU_EXECUTION_ID": row["ExecutionID"],
        "BACALHAU_JOB_ID": job_id,
        "BACALHAU_JOB_NAME": "who",
        "BACALHAU_JOB_TYPE": "batch",
        "BACALHAU_NODE_ID": row["NodeID"],
        "BACALHAU_PARTITION_COUNT": "2",
        "BACALHAU_PARTITION_INDEX": "1",
    }


def test_docker_run_of_a_program_that_fails_exits_1(containers: Cluster) -> None:
    done = containers.shoal("docker", "run", "ubuntu", "--", "sh", "-c", "echo the reason >&2; exit 7")
    assert done.code == 1, done
    assert "exit 7: the reason" in done.out + done.err


def test_one_container_out_of_memory_fails_alone(containers: Cluster) -> None:
    script = '[ "$BACALHAU_PARTITION_INDEX" = 1 ] || exit 0; head -c 300000000 /dev/zero | tail -c 300000000 >/dev/null'
    job_id = containers.submit(docker_job("memory", "ubuntu", "sh", "-c", script, count=3, Retry=QUICK))
    assert containers.wait_ended(job_id, 60) == "Failed"
    rows = containers.rows(job_id)
    assert [row["State"] for row in rows] == ["completed", "failed", "completed"]
    assert (rows[1]["Cause"], rows[1]["Attempts"]) == ("oom", 2)


def test_a_misspelt_program_is_named(containers: Cluster) -> None:
    done = containers.shoal("docker", "run", "ubuntu", "--", "ehco", "hello")
    assert done.code == 1, done
    assert "ehco" in next(line for line in (done.out + done.err).splitlines() if "Failed" in line), done
    assert containers.rows(done_job(done.out))[0]["ExitCode"] == 127


def done_job(text: str) -> str:
    """The id of the job that a command tells of."""
    found = re.search(r"j-[0-9a-f-]{36}", text)
    assert found, text
    return found[0]


def test_an_image_that_does_not_exist_is_not_tried_again(start_cluster: StartCluster, tmp_path: Path) -> None:
    cluster = start_cluster(nodes=1, engines="docker")  # the machine's engine: the tests' own reaches no registry
    with registry(tmp_path / "registry") as host:
        job_id = cluster.submit(docker_job("no-image", f"{host}/nobody/nothing:1", "true"))
        assert cluster.wait_ended(job_id) == "Failed"
    (row,) = cluster.rows(job_id)
    assert (row["Cause"], row["Attempts"]) == ("image", 1)
    assert "nobody/nothing" in row["Message"]


def test_a_registry_that_does_not_answer_is_not_billed_to_the_task(containers: Cluster) -> None:
    retry = {"MaxAttempts": 1, "MaxLost": 1, "Backoff": {"Initial": 0.1}}
    job_id = containers.submit(docker_job("no-registry", "127.0.0.1:1/some/image:1", "true", Retry=retry))
    assert containers.wait_ended(job_id) == "Failed"
    (row,) = containers.rows(job_id)
    assert (row["Cause"], row["Attempts"]) == ("image_pull", 2)


def test_weather_in_containers(containers: Cluster) -> None:
    done = containers.shoal("job", "run", SAMPLES / "weather" / "weather-docker.yaml", "--id-only")
    assert done.code == 0, done
    got = containers.shoal("job", "get", done.out.strip())
    assert got.code == 0, got
    tables = list((containers.home / f"job-{done.out.strip()}").glob("partition-*/means/*.csv"))
    assert len(tables) == 8
    assert all(len(table.read_text().splitlines()) == 13 for table in tables)


def test_a_restarted_agent_adopts_its_containers(start_cluster: StartCluster, engine: PrivateEngine) -> None:
    cluster = start_cluster(nodes=1, lease=8, engines="docker", environ={"DOCKER_HOST": engine.host})
    (name,) = cluster.nodes
    job_id = cluster.submit(docker_job("adopted", "ubuntu", "sh", "-c", "echo a; sleep 4; echo b", count=2, Retry=ONCE))
    wait_until(lambda: len(cluster.rows(job_id, "running")) == 2, 20, "both run")
    before = [row["ExecutionID"] for row in cluster.rows(job_id)]
    cluster.nodes[name].kill()
    cluster.start_node(name)
    assert cluster.wait_ended(job_id) == "Completed"
    assert [row["ExecutionID"] for row in cluster.rows(job_id)] == before
    assert cluster.shoal("job", "logs", job_id, "--select", "1").out == "a\nb\n"
    wait_until(lambda: not set(before) & names(engine), 10, "nothing is left of them")


def names(engine: PrivateEngine) -> set[str]:
    """Names of all containers, stopped ones included."""
    return set(docker("ps", "--all", "--format", "{{.Names}}", host=engine.host).split())


def test_demo_runs_through_in_containers(engine: PrivateEngine) -> None:
    began = time.monotonic()
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("SHOAL_", "BACALHAU_"))}
    done = subprocess.run(
        [sys.executable, str(SAMPLES / "demo" / "demo.py"), "docker"],
        env=environ | {"DOCKER_HOST": engine.host},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - began < 90
    assert "n2 was started again and removed them" in done.stdout
    assert done.stdout.count("/means/") == 8
    wait_until(lambda: not names(engine), 10, "no container is left")
