"""Bacalhau's Airflow operator, as it is on PyPI, in a DAG that Airflow runs, against a real cluster of ours."""

import io
import json
import os
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartCluster
from tests.helpers.docker import build_image, private_engine
from tests.helpers.processes import Cluster

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("engines"), pytest.mark.timeout(420)]

PROGRAM = Path(__file__).with_name("airflow_program.py")


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes of the docker engine."""
    with private_engine() as engine:
        build_image("busybox", engine.host)
        start = StartCluster(tmp_path_factory.mktemp("airflow"))
        try:
            yield start(nodes=2, lease=10, engines="docker", environ={"DOCKER_HOST": engine.host})
        finally:
            start.close()


@pytest.fixture(scope="module")
def got(airflow: str, containers: Cluster) -> dict[str, Any]:
    """What came of a user's DAG, and what the SDK tells of it."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(containers.home)}
    environ |= {"BACALHAU_API_HOST": "127.0.0.1", "BACALHAU_API_PORT": str(containers.port)}
    environ |= {"AIRFLOW_HOME": str(containers.home / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run(
        [airflow, str(PROGRAM)], capture_output=True, text=True, env=environ, check=False, timeout=240
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_task_submits_its_job_waits_for_it_and_hands_its_results_on(got: dict[str, Any]) -> None:
    hello = got["tasks"]["hello"]
    assert hello["state"] == "success"
    assert hello["cids"] == f"{hello['bacalhau_job_id']}.0"
    assert got["tasks"]["again"]["state"] == "success"
    assert got["described"] == ["Completed", ["Hello World\n"]], "the next task has them as its input"


def test_every_partition_of_a_task_is_handed_on(got: dict[str, Any]) -> None:
    parts = got["tasks"]["parts"]
    assert parts["cids"].split(",") == [f"{parts['bacalhau_job_id']}.{index}" for index in range(3)]
    assert got["gathered"] == "part 0 of 3\npart 1 of 3\npart 2 of 3\n"


def test_results_are_fetched_from_where_the_operators_hook_is_told(got: dict[str, Any]) -> None:
    said = []
    for index, url in enumerate(got["fetched"]):
        with (
            urllib.request.urlopen(url, timeout=10) as answer,
            tarfile.open(fileobj=io.BytesIO(answer.read())) as archive,
        ):
            part = archive.extractfile(f"partition-{index}/out/part")
            assert part is not None
            said.append(part.read())
    assert said == [b"part 0 of 3\n", b"part 1 of 3\n", b"part 2 of 3\n"]


def test_a_failed_job_ends_the_waiting_and_tells_why(got: dict[str, Any]) -> None:
    broken = got["tasks"]["broken"]
    assert (broken["state"], broken["cids"]) == ("success", ""), "the operator asks no more than whether it has ended"
    assert got["failed"] == ["Error", "Failed", 7, "the station is away\n"]


def test_a_refused_job_fails_its_task(got: dict[str, Any]) -> None:
    assert got["run"] == "failed"
    assert got["tasks"]["refused"]["state"] == "failed"
    assert got["refusals"] == {
        "cid": [
            400,
            "Spec.inputs[0].CID: found 'QmNobody', allowed: <job id>.<partition>, as `results` names them: there is no IPFS",
        ],
        "publisher": [
            400,
            "Spec.Publisher: found 'Estuary', allowed: Local, IPFS (kept as Local), Noop, none (then as Local)",
        ],
        "memory": [400, got["refusals"]["memory"][1]],
        "unknown": [404, "job not found: j-none"],
    }
    assert "much" in got["refusals"]["memory"][1]


def test_a_job_is_followed_by_its_events_and_listed(got: dict[str, Any]) -> None:
    assert got["events"] == [["New", "New"], ["New", "InProgress"], ["InProgress", "Completed"]]
    submitted = {one["bacalhau_job_id"] for one in got["tasks"].values()} - {None}
    assert {job_id for job_id, _ in got["listed"]} == submitted
    assert sorted(state for _, state in got["listed"]) == ["Completed"] * 4 + ["Error"]


def test_a_job_is_stopped(got: dict[str, Any]) -> None:
    assert got["stopped"] == "Cancelled"
    assert got["told"] == {"previous": "InProgress", "new": "Cancelled"}
