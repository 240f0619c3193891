"""Bacalhau's own Python SDK and generated client, as they are on PyPI, against a real cluster of ours."""

import io
import json
import os
import subprocess
import tarfile
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import websockets

from tests.helpers.processes import Cluster

PROGRAM = Path(__file__).with_name("sdk_program.py")


@pytest.fixture(scope="module")
def got(interpreter: str, shared: Cluster) -> dict[str, Any]:
    """What a program that uses every call of the SDK got."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(shared.home)}
    environ |= {"BACALHAU_API_HOST": "127.0.0.1", "BACALHAU_API_PORT": str(shared.port)}
    ran = subprocess.run(
        [interpreter, str(PROGRAM)], capture_output=True, text=True, env=environ, check=False, timeout=120
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def test_a_job_is_submitted_described_and_listed(got: dict[str, Any]) -> None:
    job_id, evaluation_id, warnings = got["put"]
    assert job_id.startswith("j-")
    assert evaluation_id
    assert not warnings
    assert got["job"] == [job_id, "sdk", "batch", 3, 1, "Completed", "process"]
    assert got["get"] == [9, 9, 9]
    assert job_id in got["list"]


def test_executions_and_history_are_read_with_their_numbers_and_texts(got: dict[str, Any]) -> None:
    assert [desired for _, desired, _ in got["executions"]] == [2, 2]
    assert all(output.startswith("part ") for _, _, output in got["executions"])
    assert {kind for kind, _ in got["history"]} == {"ExecutionLevel"}


def test_results_are_fetched_from_where_the_sdk_is_told(got: dict[str, Any]) -> None:
    assert len(set(got["results"])) == 3
    for index, url in enumerate(got["results"]):
        with urllib.request.urlopen(url, timeout=10) as answer:
            content = answer.read()
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            names = archive.getnames()
        assert f"partition-{index}/stdout" in names


def test_a_job_is_stopped_with_its_reason(got: dict[str, Any]) -> None:
    assert got["stop"]
    assert got["stopped"] == ["Stopped", "no more of it"]


def test_mistakes_are_the_statuses_that_the_client_knows(got: dict[str, Any]) -> None:
    assert (got["stop-again"], got["unknown"], got["refused"]) == (409, 404, 400)
    assert (got["update"], got["logs"]) == (405, 400)


def test_nodes_and_the_orchestrator_are_read_where_a_real_one_gives_nothing(got: dict[str, Any]) -> None:
    assert len(got["nodes"]) == 3
    assert all(kind in ("Compute", "Requester") for _, kind, _ in got["nodes"])
    assert got["node"] == got["nodes"][0][0]
    assert got["alive"] == "{'Status': 'OK'}"  # as the client gives it
    assert (got["agent"], got["debug"]) == (200, 200)


async def test_the_log_of_what_the_sdk_submitted_is_followed(got: dict[str, Any], shared: Cluster) -> None:
    url = f"ws://127.0.0.1:{shared.port}/api/v1/orchestrator/jobs/{got['put'][0]}/logs?follow=true"
    async with websockets.connect(url, proxy=None) as stream:
        frames = [json.loads(frame) async for frame in stream]
        assert stream.close_code == 1000
    assert [frame["value"]["Type"] for frame in frames] == [1]
    assert frames[0]["value"]["Line"].startswith("part ")
