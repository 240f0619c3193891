"""Retries over HTTP that differ from the job, and actions that hold only while the count does."""

from typing import Any

import pytest

from orchestrator.contract.execution import Cause
from tests.helpers.server import JOBS, Agent, Api

RETRY = f"{JOBS}/golden/partitions/retry"


async def failed_job(api: Api, agent: Agent, count: int = 2) -> None:
    """Every partition failed for good."""
    await api.submit(count=count, Retry={"MaxAttempts": 1})
    await agent.sync()
    for index in range(count):
        agent.end(index, exit_code=9, cause=Cause.OOM, message="too much")
    await agent.sync()


async def test_a_retry_may_ask_for_more_and_shows_it(api: Api) -> None:
    agent = Agent(api)
    other = Agent(api, "n2")
    await failed_job(api, agent)
    await other.sync()
    body = {
        "Select": "failed",
        "Resources": {"Memory": "2gb"},
        "Timeout": "1h",
        "AvoidNodes": ["n1"],
        "AddAttempts": 2,
    }
    assert (await api.put(RETRY, body))["Count"] == 2
    assert (await agent.sync()).assignments == ()
    first, _ = (await other.sync()).assignments
    assert first.resources is not None
    assert (first.resources.memory, first.execution_timeout) == ("2gb", 3600)
    attempt = (await api.get(f"{JOBS}/golden/partitions/0"))["Attempts"][1]
    assert attempt["Override"] == {
        "Resources": {"Memory": "2gb"},
        "Timeout": 3600,
        "AvoidNodes": ["n1"],
        "MaxAttempts": 2,
    }


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"Resources": {"Memory": "lots"}}, "Resources.Memory"),
        ({"Resources": {"Memmory": "1gb"}}, "Resources.Memmory"),
        ({"Timeout": "0"}, "Timeout"),
        ({"AddAttempts": 0}, "AddAttempts"),
        ({"AvoidNodes": ["n1", "m1"]}, "AvoidNodes[1]"),
        ({"AvoidNodes": ["n"]}, "AvoidNodes[0]"),
    ],
)
async def test_what_cannot_be_different_is_refused_with_its_path(api: Api, more: dict[str, Any], path: str) -> None:
    await failed_job(api, Agent(api), 1)
    await Agent(api, "n2").sync()
    answer = await api.ask("PUT", RETRY, {"Select": "failed", **more})
    assert answer.status_code == 400
    assert [problem["Path"] for problem in answer.json()["Problems"]] == [path]


async def test_an_action_whose_count_has_changed_is_refused_with_the_new_one(api: Api) -> None:
    await failed_job(api, Agent(api), 3)
    cursor = (await api.put(RETRY, {"Select": "failed", "DryRun": True}))["Cursor"]
    await api.put(RETRY, {"Select": "0"})
    answer = await api.ask("PUT", RETRY, {"Select": "failed", "IfCursor": cursor})
    assert (answer.status_code, answer.json()["Code"], answer.json()["Details"]) == (
        409,
        "CountChanged",
        {"Count": "2"},
    )
    summary = (await api.get(f"{JOBS}/golden/partitions"))["Summary"]
    assert summary["Failed"] == 2
    cursor = (await api.put(RETRY, {"Select": "failed", "DryRun": True}))["Cursor"]
    assert (await api.put(RETRY, {"Select": "failed", "IfCursor": cursor}))["Count"] == 2
    stop = f"{JOBS}/golden/partitions/stop"
    answer = await api.ask("PUT", stop, {"Select": "all", "IfCursor": cursor})
    assert answer.status_code == 409
    for wrong in ("x", "a.b.c", "a.1"):
        answer = await api.ask("PUT", stop, {"Select": "all", "IfCursor": wrong})
        assert (answer.status_code, "IfCursor" in answer.json()["Message"]) == (400, True)


async def test_a_job_whose_unfinished_partitions_have_changed_is_not_stopped(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=3)
    await agent.sync()
    job, stop = f"{JOBS}/golden", f"{JOBS}/golden/partitions/stop"
    cursor = (await api.put(stop, {"Select": "all", "DryRun": True}))["Cursor"]
    agent.end(0)
    await agent.sync()
    answer = await api.ask("DELETE", job, {"IfCursor": cursor})
    assert (answer.status_code, answer.json()["Code"], answer.json()["Details"]) == (
        409,
        "CountChanged",
        {"Count": "2"},
    )
    assert (await api.get(job))["Job"]["State"]["StateType"] == "Running"
    assert (await api.ask("DELETE", job, {"IfCursor": "x"})).status_code == 400
    cursor = (await api.put(stop, {"Select": "all", "DryRun": True}))["Cursor"]
    assert (await api.ask("DELETE", job, {"IfCursor": cursor})).status_code == 200
    assert (await api.get(job))["Job"]["State"]["StateType"] == "Stopped"
