"""A task of an Airflow user, with Bacalhau's SDK, against a real cluster of ours; why not the operator: docs/bacalhau.md."""

import io
import json
import os
import subprocess
import tarfile
import urllib.request
from pathlib import Path
from typing import Any

from tests.helpers.processes import Cluster

PROGRAM = Path(__file__).with_name("airflow_program.py")


def ran(interpreter: str, shared: Cluster, script: str, count: int, run_id: str) -> dict[str, Any]:
    """What the task returned, pushed, or failed with."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(shared.home)}
    environ |= {"BACALHAU_API_HOST": "127.0.0.1", "BACALHAU_API_PORT": str(shared.port)}
    argv = [interpreter, str(PROGRAM), script, str(count), run_id]
    done = subprocess.run(argv, capture_output=True, text=True, env=environ, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_task_waits_for_its_job_and_hands_on_what_every_partition_made(interpreter: str, shared: Cluster) -> None:
    script = "mkdir -p out; echo $BACALHAU_PARTITION_INDEX of $BACALHAU_PARTITION_COUNT"
    got = ran(interpreter, shared, script, 3, "airflow manual__2026-11-24")
    assert got["failed"] == ""
    assert got["returned"] == got["pushed"]["bacalhau_job_id"]
    said = set()
    for index, url in enumerate(got["pushed"]["results"]):
        with (
            urllib.request.urlopen(url, timeout=10) as answer,
            tarfile.open(fileobj=io.BytesIO(answer.read())) as archive,
        ):
            stdout = archive.extractfile(f"partition-{index}/stdout")
            assert stdout is not None
            said.add(stdout.read())
    assert said == {b"0 of 3\n", b"1 of 3\n", b"2 of 3\n"}


def test_a_task_fails_with_its_job_and_says_why(interpreter: str, shared: Cluster) -> None:
    got = ran(interpreter, shared, "echo the station is away >&2; exit 7", 1, "airflow scheduled__2026-11-24")
    assert got["returned"] is None
    assert got["failed"].startswith("Failed: ")
    assert "exit code 7" in got["failed"] or "the station is away" in got["failed"]
    assert "results" not in got["pushed"]
