"""Partitions over HTTP: the grid, rows, one partition, its watch, reasons, and actions on a selection."""

import asyncio
import base64
from array import array
from typing import Any

import msgspec
import pytest

from orchestrator.contract.agent import LogTail, Stream
from orchestrator.contract.execution import Cause
from tests.helpers.server import JOBS, Agent, Api


async def failed_job(api: Api, agent: Agent, count: int = 3) -> None:
    """Partition 0 completed, 1 failed with 7, the others with 9, each for good."""
    await api.submit(count=count, Retry={"MaxAttempts": 1})
    await agent.sync()
    agent.end(0)
    agent.end(1, exit_code=7, cause=Cause.EXIT, message="open /tmp/a-12: no such file 0x4f2a77")
    for index in range(2, count):
        agent.end(index, exit_code=9, cause=Cause.EXIT, message=f"ID {index}: /data/part-{index}.csv is bad")
    await agent.sync()


async def refused(api: Api, method: str, path: str, body: Any = None) -> tuple[int, str]:
    answer = await api.ask(method, path, body)
    return answer.status_code, answer.json()["Message"]


async def test_the_grid_is_one_byte_a_partition(api: Api) -> None:
    agent = Agent(api, cpu=2)
    await api.submit(count=4)
    await agent.sync()
    agent.run(0)
    await agent.sync()
    grid = await api.get(f"{JOBS}/golden/partitions")
    assert base64.b64decode(grid["States"]) == bytes([4, 3, 1, 1])
    assert base64.b64decode(grid["Attempts"]) == bytes([1, 1, 0, 0])
    assert array("H", base64.b64decode(grid["Nodes"])).tolist() == [0, 0, 65535, 65535]
    assert grid["NodeIDs"] == ["n1"]
    assert grid["Summary"] == {"Waiting": 2, "Assigned": 1, "Running": 1}
    assert (grid["Count"], grid["JobState"]) == (4, "Running")


async def test_rows_come_in_pages_and_say_what_is_selected(api: Api) -> None:
    await failed_job(api, Agent(api), count=5)
    path = f"{JOBS}/golden/partitions"
    first = await api.get(path, select="failed", limit=2)
    assert [row["Index"] for row in first["Items"]] == [1, 2]
    second = await api.get(path, select="failed", limit=2, next_token=first["NextToken"])
    assert [row["Index"] for row in second["Items"]] == [3, 4]
    assert second["NextToken"] == ""
    row = first["Items"][0]
    assert (row["State"], row["Attempts"], row["NodeID"], row["ExitCode"]) == ("failed", 1, "n1", 7)
    assert (row["Cause"], row["Started"][:2], row["Finished"][-1]) == ("exit", "20", "Z")
    chosen = {
        "all": [0, 1, 2, 3, 4],
        "0,3": [0, 3],
        "!failed": [0],
        "exit:7": [1],
        "cause:exit err~part-3": [3],
        'err~"no such"': [1],
        "dur>0": [0, 1, 2, 3, 4],
        "node:n1 attempt>1": [],
        "cause:oom": [],
    }
    for select, indices in chosen.items():
        found = await api.get(path, select=select)
        assert [row["Index"] for row in found["Items"]] == indices, select


async def test_a_selection_that_is_wrong_names_the_piece(api: Api) -> None:
    await api.submit(count=1)
    for method, path, body in (
        ("GET", "partitions?select=fooled", None),
        ("GET", "explain?select=fooled", None),
        ("PUT", "partitions/retry", {"Select": "fooled"}),
        ("PUT", "partitions/stop", {"Select": "fooled"}),
    ):
        status, message = await refused(api, method, f"{JOBS}/golden/{path}", body)
        assert status == 400
        assert "'fooled'" in message
        assert "did you mean failed?" in message


async def test_one_partition_shows_every_attempt(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=1, Retry={"MaxAttempts": 2, "Backoff": {"Initial": 0.01, "Jitter": False}})
    await agent.sync()
    agent.end(0, exit_code=3, cause=Cause.EXIT, message="bad luck")
    await agent.sync()
    await api.until(f"{JOBS}/golden/partitions/0", lambda found: len(found["Attempts"]) == 2)
    await agent.sync()
    agent.end(0)
    await agent.sync()
    detail = await api.get(f"{JOBS}/golden/partitions/0")
    first, second = detail["Attempts"]
    assert (first["State"], first["ExitCode"], first["Cause"], first["Accepted"]) == ("failed", 3, "exit", False)
    assert (first["Message"], second["State"], second["Accepted"]) == ("bad luck", "completed", True)
    assert detail["Partition"]["Attempts"] == 2
    status, message = await refused(api, "GET", f"{JOBS}/golden/partitions/1")
    assert (status, "(0 to 0)" in message) == (404, True)


async def test_failures_are_grouped_without_what_differs(api: Api) -> None:
    await failed_job(api, Agent(api), count=5)
    large, small = (await api.get(f"{JOBS}/golden/failures"))["Items"]
    assert (large["Count"], large["Partitions"], large["ExitCode"]) == (3, "2-4", 9)
    assert large["Message"] == "ID N: PATH is bad"
    assert large["Sample"]["Message"] == "ID 2: /data/part-2.csv is bad"
    assert (small["Count"], small["Partitions"], small["Cause"]) == (1, "1", "exit")
    rows = await api.get(f"{JOBS}/golden/partitions", select=f"group:{large['Group']}")
    assert [row["Index"] for row in rows["Items"]] == [2, 3, 4]


async def test_retry_takes_the_failed_ones_of_a_selection_only(api: Api) -> None:
    agent = Agent(api)
    await failed_job(api, agent)
    path = f"{JOBS}/golden/partitions/retry"
    counted = await api.put(path, {"Select": "all", "DryRun": True})
    assert (counted["Count"], counted["ByState"]) == (2, {"failed": 2})
    assert counted["EvaluationID"] == ""
    assert (await api.get(f"{JOBS}/golden"))["Job"]["State"]["StateType"] == "Failed"
    body = {"Select": "exit:7", "IdempotencyToken": "once"}
    first = await api.ask("PUT", path, body)
    assert (await api.ask("PUT", path, body)).content == first.content
    assert first.json()["Count"] == 1
    assert [one.index for one in (await agent.sync()).assignments] == [1]
    agent.end(1)
    await agent.sync()
    assert (await api.get(f"{JOBS}/golden/partitions"))["Summary"] == {"Completed": 2, "Failed": 1}
    again = await api.put(path, {"Select": "0", "IncludeCompleted": True})
    assert again["ByState"] == {"completed": 1}


async def test_stop_takes_the_unfinished_ones_of_a_selection_only(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=3)
    await agent.sync()
    agent.run(0, 1, 2)
    await agent.sync()
    agent.end(0)
    await agent.sync()
    answer = await api.put(f"{JOBS}/golden/partitions/stop", {"Select": "0,1", "Reason": "not needed"})
    assert answer["ByState"] == {"running": 1}
    assert [one.index for one in (await agent.sync()).assignments] == [2]
    rows = (await api.get(f"{JOBS}/golden/partitions", select="all"))["Items"]
    assert [row["State"] for row in rows] == ["completed", "stopping", "running"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "Select"),
        ({"Select": ""}, "Select"),
        ({"Select": "all", "DryRun": "maybe"}, "DryRun"),
        ({"Select": "all", "Resources": {"Memory": "many"}}, "memory"),
        ([1], "list"),
    ],
)
async def test_an_action_that_is_not_understood_is_refused(api: Api, body: Any, named: str) -> None:
    await api.submit(count=1)
    status, message = await refused(api, "PUT", f"{JOBS}/golden/partitions/retry", body)
    assert status == 400
    assert named in message


async def test_waiting_is_explained_node_by_node(api: Api) -> None:
    agent = Agent(api, cpu=1)
    await api.submit(count=2, cpu="4")
    nobody = (await api.get(f"{JOBS}/golden/explain"))["Items"]
    assert nobody == [{"Reason": "no node has joined the cluster", "Count": 2, "Partitions": "0-1", "Nodes": []}]
    await agent.sync()
    await Agent(api, "n2", cpu=2).sync()
    (item,) = (await api.get(f"{JOBS}/golden/explain", select="1"))["Items"]
    assert (item["Count"], item["Partitions"]) == (1, "1")
    assert item["Nodes"] == [
        {"NodeID": "n1", "Reason": "has 1 CPU in all, needs 4"},
        {"NodeID": "n2", "Reason": "has 2 CPU in all, needs 4"},
    ]


async def test_backoff_and_stopping_are_explained(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=2, Retry={"MaxAttempts": 2, "Backoff": {"Initial": 60, "Jitter": False}})
    await agent.sync()
    agent.end(0, exit_code=1, cause=Cause.EXIT, message="x")
    agent.run(1)
    await agent.sync()
    await api.put(f"{JOBS}/golden/partitions/stop", {"Select": "1"})
    await api.put(f"{JOBS}/golden/partitions/retry", {"Select": "1"})
    reasons = {item["Partitions"]: item["Reason"] for item in (await api.get(f"{JOBS}/golden/explain"))["Items"]}
    assert reasons["0"].startswith("waits for its backoff until 20")
    assert reasons["1"] == "its former execution is still being stopped"
    assert (await api.get(f"{JOBS}/golden/partitions/0"))["RetryAt"]


async def frames_of(api: Api, after: str, until: str) -> list[dict[str, Any]]:
    """The frames of a watch up to the first that says this state of the job."""
    frames = []
    async with asyncio.timeout(10), api.http.stream("GET", f"{JOBS}/golden/watch", params={"after": after}) as answer:
        assert answer.status_code == 200, await answer.aread()
        async for line in answer.aiter_lines():
            frames.append(msgspec.json.decode(line, type=dict[str, Any]))
            if frames[-1].get("JobState") == until:
                break
    return frames


async def test_a_watch_tells_every_change_after_its_cursor(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=2)
    grid = await api.get(f"{JOBS}/golden/partitions")
    states = bytearray(base64.b64decode(grid["States"]))
    watching = asyncio.ensure_future(frames_of(api, grid["Cursor"], "Completed"))
    await agent.sync()
    agent.run(0, 1)
    await agent.sync()
    agent.end(0)
    agent.end(1)
    await agent.sync()
    frames = await watching
    nodes: list[str] = []
    for frame in frames:
        nodes += frame.get("NodeIDs", [])
        packed = base64.b64decode(frame.get("States", ""))
        for at, index in enumerate(array("I", base64.b64decode(frame.get("Indices", "")))):
            states[index] = packed[at]
    assert bytes(states) == bytes([6, 6])
    assert nodes == ["n1"]
    assert frames[-1]["Summary"] == {"Completed": 2}
    assert (await frames_of(api, grid["Cursor"], "Completed"))[-1]["Summary"] == {"Completed": 2}


async def test_a_cursor_of_another_process_or_ahead_is_gone(api: Api) -> None:
    await api.submit(count=1)
    cursor = (await api.get(f"{JOBS}/golden/partitions"))["Cursor"]
    start, _, number = cursor.partition(".")
    for wrong in (f"other.{number}", f"{start}.{int(number) + 1}", start, f"{start}.x", "%00"):
        answer = await api.ask("GET", f"{JOBS}/golden/watch", params={"after": wrong})
        assert (answer.status_code, answer.json()["Code"]) == (410, "StaleCursor"), wrong
    await api.put(JOBS, {"Job": {**(await api.get(f"{JOBS}/golden"))["Job"], "Count": 5}})
    assert (await api.ask("GET", f"{JOBS}/golden/watch", params={"after": cursor})).status_code == 410


async def test_a_log_is_read_by_range(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=1)
    await agent.sync()
    agent.run(0)
    await agent.sync()
    execution = agent.at(0)
    assert (await agent.put_log(execution, "out", 0, b"one\ntwo\n")).json() == {"Size": 8}
    path = f"{JOBS}/golden/partitions/0/attempts/1/log"
    piece = await api.get(path, limit=5)
    assert (base64.b64decode(piece["Data"]), piece["NextOffset"], piece["End"]) == (b"one\nt", 5, False)
    agent.end(0, tails=(LogTail(stream=Stream.OUT, offset=8, content=b"three\n"),))
    await agent.sync()
    rest = await api.get(path, stream="out", offset=5)
    assert (base64.b64decode(rest["Data"]), rest["Size"], rest["End"]) == (b"wo\nthree\n", 14, True)
    assert base64.b64decode((await api.get(path, offset=-6))["Data"]) == b"three\n"
    assert base64.b64decode((await api.get(path, grep="^t.o"))["Data"]) == b"two\n"
    async with asyncio.timeout(30):
        await api.get(path, grep="(((a+)+)+)+$")
    assert (await api.get(path, stream="err"))["Data"] == ""
    for query, named in (("stream=x", "stream"), ("grep=(", "grep"), ("limit=-1", "limit"), ("offset=z", "offset")):
        status, message = await refused(api, "GET", f"{path}?{query}")
        assert (status, named in message) == (400, True), message
    status, message = await refused(api, "GET", f"{JOBS}/golden/partitions/0/attempts/2/log")
    assert (status, message.startswith("attempt not found: 2 of partition 0")) == (404, True)
