"""The cluster at a glance over HTTP: summaries, its watch, its events, holding jobs; against both stores."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.contract.execution import Cause
from orchestrator.store.base import Store
from orchestrator.store.memory import MemoryStore
from orchestrator.store.sqlite import SqliteStore
from tests.helpers.server import JOBS, Agent, Api, orchestrator

EVENTS = "/api/v1/orchestrator/events"
WATCH = "/api/v1/orchestrator/watch"
ONCE = {"MaxAttempts": 2, "Backoff": {"Initial": 0, "Jitter": False}}


@pytest.fixture(params=["memory", "sqlite"])
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Api]:
    store: Store = MemoryStore() if request.param == "memory" else await SqliteStore.open(tmp_path / "store")
    async with orchestrator(tmp_path / "data", store) as url:
        api = Api(url)
        yield api
        await api.http.aclose()
    await store.close()


async def retried_job(api: Api, agent: Agent) -> None:
    """Partition 0 completed at once, 1 at its second attempt, 2 failed in two."""
    await api.submit(count=3, Retry=ONCE)
    await agent.sync()
    agent.end(0)
    for index in (1, 2):
        agent.end(index, exit_code=1, cause=Cause.EXIT, message="boom")
    await agent.sync()
    await agent.sync()
    agent.end(1)
    agent.end(2, exit_code=1, cause=Cause.EXIT, message="boom")
    await agent.sync()


async def test_a_list_says_how_far_each_job_is(api: Api) -> None:
    await retried_job(api, Agent(api))
    (item,) = (await api.get(JOBS, include="summary"))["Items"]
    assert item["Summary"] == {"Completed": 2, "Failed": 1}
    assert item["Progress"] == {"Attempts": 5, "Retries": 2, "RetriesPerMinute": 0.0, "Failed": 1, "Share": 0.6667}
    assert "Suspended" not in item
    assert "Progress" not in (await api.get(JOBS))["Items"][0]


async def lines(api: Api, path: str, wanted: int, **query: str) -> list[dict[str, Any]]:
    """So many lines of a stream."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(10), api.http.stream("GET", path, params=query) as answer:
        assert answer.status_code == 200, await answer.aread()
        async for line in answer.aiter_lines():
            found.append(msgspec.json.decode(line, type=dict[str, Any]))
            if len(found) == wanted:
                break
    return found


async def test_the_watch_begins_with_everything_and_goes_on_with_what_changes(api: Api) -> None:
    agent = Agent(api)
    await agent.sync()
    await api.submit("first", count=1, Labels={"team": "a"})
    snapshot, *_ = await lines(api, WATCH, 1)
    assert snapshot["Snapshot"]
    (job,) = snapshot["Jobs"]
    assert (job["Name"], job["Count"], job["Engine"], job["Labels"]) == ("first", 1, "process", {"team": "a"})
    assert {node["Info"]["NodeID"] for node in snapshot["Nodes"]} >= {"n1"}
    await api.submit("second", count=2)
    first, *_ = await lines(api, WATCH, 1, after=snapshot["Cursor"])
    assert "Jobs" not in first
    assert len(first["Nodes"]) == 2
    told = await lines(api, WATCH, 2, after=snapshot["Cursor"])
    assert [one["Name"] for one in told[1]["Jobs"]] == ["second"]
    assert sum(told[1]["Jobs"][0]["Summary"].values()) == 2


async def test_a_snapshot_that_takes_long_comes_in_pieces_and_has_a_cursor_when_it_is_whole(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.routes.overview.PERIOD", 0)
    for name in ("one", "two"):
        await api.submit(name, count=1)
    first, second = await lines(api, WATCH, 2)
    assert (first["Snapshot"], first["Cursor"], "Snapshot" in second, bool(second["Cursor"])) == (True, "", False, True)
    assert {job["Name"] for frame in (first, second) for job in frame["Jobs"]} == {"one", "two"}


async def test_the_watch_is_live(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=1)
    watching = asyncio.ensure_future(lines(api, WATCH, 3))
    await asyncio.sleep(0)
    await agent.sync()
    agent.run(0)
    await agent.sync()
    frames = await watching
    states = [job["Summary"] for frame in frames for job in frame.get("Jobs", [])]
    assert {"Waiting": 1} in states or {"Assigned": 1} in states
    assert len(states) >= 2


async def test_a_cursor_of_the_watch_that_means_nothing_is_gone(api: Api) -> None:
    await api.submit(count=1)
    (snapshot,) = await lines(api, WATCH, 1)
    start, _, number = snapshot["Cursor"].partition(".")
    for wrong in (f"other.{number}", f"{start}.{int(number) + 50}", "x"):
        answer = await api.ask("GET", WATCH, params={"after": wrong})
        assert (answer.status_code, answer.json()["Code"]) == (410, "StaleCursor")


async def test_events_are_of_jobs_executions_and_nodes_in_one_order(api: Api) -> None:
    agent = Agent(api)
    await agent.sync()
    await api.submit(count=1)
    await agent.sync()
    agent.run(0)
    await agent.sync()
    agent.end(0, exit_code=3, cause=Cause.EXIT, message="boom")
    await agent.sync()
    page = await api.get(EVENTS)
    told = [(one["Type"], one["Message"]) for one in page["Items"]]
    assert told[0] == ("NodeLevel", "Node joined")
    assert ("JobLevel", "Job submitted") in told
    assert ("ExecutionLevel", "boom") in told
    assert [one["Time"] for one in page["Items"]] == sorted(one["Time"] for one in page["Items"])
    failed = next(one for one in page["Items"] if one["Message"] == "boom")
    assert (failed["JobName"], failed["Partition"], failed["NodeID"]) == ("golden", 0, "n1")
    assert failed["Details"]["ExitCode"] == "3"
    assert page["Items"][0]["NodeID"] == "n1"
    begun = (await api.get(EVENTS, limit=2))["Items"]
    assert begun == page["Items"][-2:]
    seen: list[Any] = []
    cursor = "0.0."
    while len(more := (await api.get(EVENTS, after=cursor, limit=2))["Items"]):
        seen += more
        cursor = (await api.get(EVENTS, after=cursor, limit=2))["Cursor"]
    assert seen == page["Items"]


async def test_events_are_waited_for(api: Api) -> None:
    await api.submit("one", count=1)
    cursor = (await api.get(EVENTS))["Cursor"]
    assert (await api.get(EVENTS, after=cursor, wait="0.05")) == {"Cursor": cursor, "Items": []}
    waiting = asyncio.ensure_future(api.get(EVENTS, after=cursor, wait="20"))
    await asyncio.sleep(0.05)
    await api.submit("two", count=1)
    found = await asyncio.wait_for(waiting, 15)
    assert found["Items"][0]["JobName"] == "two"
    for wrong in ("x", "1.2", f"{2**63}.1.j", "1.x.j"):
        answer = await api.ask("GET", EVENTS, params={"after": wrong})
        assert (answer.status_code, "after" in answer.json()["Message"]) == (400, True), answer.text


async def test_what_is_done_to_a_node_is_told(api: Api) -> None:
    agent = Agent(api)
    await agent.sync()
    path = "/api/v1/orchestrator/nodes/n1"
    await api.put(path, {"Action": "drain", "Deadline": "10m", "Reason": "disk"})
    drain = (await api.get(path))["Node"]["Drain"]
    assert (drain["Reason"], bool(drain["Since"]), bool(drain["Deadline"])) == ("disk", True, True)
    await api.put(path, {"Action": "undrain"})
    assert "Drain" not in (await api.get(path))["Node"]
    await api.put(path, {"Action": "reject"})
    await api.put(path, {"Action": "delete"})
    told = [one["Message"] for one in (await api.get(EVENTS))["Items"]]
    assert told == [
        "Node joined",
        "Node is being drained",
        "Node is not drained any more",
        "Node rejected",
        "Node disconnected: node rejected",
        "Node deleted",
    ]


async def test_a_suspended_job_is_not_placed_until_it_is_resumed(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=1)
    first = await api.put(f"{JOBS}/golden/suspend", {"Reason": "maintenance"})
    assert first["EvaluationID"]
    assert (await api.put(f"{JOBS}/golden/suspend", {}))["EvaluationID"] == ""
    assert (await agent.sync()).assignments == ()
    (item,) = (await api.get(JOBS, include="summary"))["Items"]
    assert (item["Suspended"], item["State"]["Message"]) == (True, "Suspended: maintenance")
    (why,) = (await api.get(f"{JOBS}/golden/explain"))["Items"]
    assert (why["Reason"].split(":")[0], why["Partitions"], why["Nodes"]) == ("the job is suspended", "0", [])
    for body, named in (({"Count": 9}, "Count"), ({"timeouts": {}}, "Timeouts"), ({}, "Suspended"), ({"x": 1}, "x")):
        refused = await api.ask("PATCH", f"{JOBS}/golden", body)
        assert (refused.status_code, named in refused.json()["Message"]) == (400, True), refused.text
    assert (await api.ask("PATCH", f"{JOBS}/golden", {"Suspended": False})).status_code == 200
    await api.put(f"{JOBS}/golden/suspend", {})
    await api.put(f"{JOBS}/golden/resume", {})
    assert len((await agent.sync()).assignments) == 1
    agent.end(0)
    await agent.sync()
    answer = await api.ask("PUT", f"{JOBS}/golden/suspend", {})
    assert answer.status_code == 409
    assert (await api.ask("PUT", f"{JOBS}/golden/suspend", {"Why": 1})).status_code == 400
