"""What a grid, a partition and a search tell beyond states, over HTTP and against both stores."""

import asyncio
import base64
from array import array
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.contract.agent import InputObject, Inputs, LogTail, Stream
from orchestrator.contract.execution import Cause
from orchestrator.store.base import Store
from orchestrator.store.memory import MemoryStore
from orchestrator.store.sqlite import SqliteStore
from tests.helpers.server import JOBS, Agent, Api, orchestrator

GRID = f"{JOBS}/golden/partitions"
SEARCH = f"{JOBS}/golden/logs/search"
FIELDS = "Started,Finished,Failure"
NO_TIME = 2**32 - 1


@pytest.fixture(params=["memory", "sqlite"])
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Api]:
    store: Store = MemoryStore() if request.param == "memory" else await SqliteStore.open(tmp_path / "store")
    async with orchestrator(tmp_path / "data", store) as url:
        api = Api(url)
        yield api
        await api.http.aclose()
    await store.close()


def numbers(kind: str, packed: str) -> list[int]:
    return array(kind, base64.b64decode(packed)).tolist()


async def test_a_grid_carries_times_and_failures_where_they_are_asked_for(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=4, Retry={"MaxAttempts": 1})
    await agent.sync()
    agent.end(0)
    agent.end(1, exit_code=7, cause=Cause.EXIT, message="line 12 is bad")
    agent.end(2, exit_code=7, cause=Cause.EXIT, message="line 99 is bad")
    await agent.sync()
    grid = await api.get(GRID, fields=FIELDS)
    started, finished = numbers("I", grid["Started"]), numbers("I", grid["Finished"])
    assert max(started[:3]) < 60
    assert all(0 <= begin <= end < 60 for begin, end in zip(started[:3], finished[:3], strict=True))
    assert (started[3], finished[3]) == (NO_TIME, NO_TIME)
    assert numbers("H", grid["Failure"]) == [65535, 0, 0, 65535]
    (group,) = grid["Groups"]
    assert (group["Cause"], group["ExitCode"], group["Message"]) == ("exit", 7, "line N is bad")
    rows = await api.get(GRID, select=f"group:{group['Group']}")
    assert [row["Index"] for row in rows["Items"]] == [1, 2]
    assert grid["Origin"].startswith("20")
    plain = await api.get(GRID)
    assert not {"Started", "Finished", "Failure", "Groups", "Origin"} & plain.keys()
    only = await api.get(GRID, fields="finished")
    assert "Started" not in only
    assert numbers("I", only["Finished"]) == finished
    answer = await api.ask("GET", GRID, params={"fields": "Startd"})
    assert (answer.status_code, "did you mean Started?" in answer.json()["Hint"]) == (400, True)


async def test_deltas_carry_the_same(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=2, Retry={"MaxAttempts": 1})
    cursor = (await api.get(GRID, fields=FIELDS))["Cursor"]
    await agent.sync()
    agent.end(0)
    agent.end(1, exit_code=7, cause=Cause.EXIT, message="boom")
    await agent.sync()
    query = {"after": cursor, "fields": FIELDS}
    found: dict[str, Any] = {}
    async with asyncio.timeout(10), api.http.stream("GET", f"{JOBS}/golden/watch", params=query) as answer:
        async for line in answer.aiter_lines():
            found = msgspec.json.decode(line, type=dict[str, Any])
            if found.get("JobState") == "Failed":
                break
    assert numbers("I", found["Indices"]) == [0, 1]
    assert NO_TIME not in numbers("I", found["Started"]) + numbers("I", found["Finished"])
    assert numbers("H", found["Failure"]) == [65535, 0]
    assert found["Groups"][0]["Message"] == "boom"


async def test_inputs_of_every_attempt_are_kept_and_can_be_selected(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=2, Retry={"MaxAttempts": 2, "Backoff": {"Initial": 0, "Jitter": False}})
    await agent.sync()
    inputs = Inputs(objects=(InputObject(name="/in/part-0029.csv", size=12),), rest=3, rest_size=99)
    agent.end(0, exit_code=7, cause=Cause.EXIT, message="boom", inputs=inputs)
    agent.end(1)
    await agent.sync()
    await agent.sync()
    first, second = (await api.get(f"{GRID}/0/inputs"))["Items"]
    assert (first["Attempt"], first["Known"], first["Rest"], first["RestSize"]) == (1, True, 3, 99)
    assert first["Items"] == [{"Name": "/in/part-0029.csv", "Size": 12}]
    assert (second["Attempt"], second["Known"], second["Items"]) == (2, False, [])
    assert (await api.get(GRID, select="input~part-0029"))["Items"] == []
    agent.end(0, inputs=inputs)
    await agent.sync()
    assert [row["Index"] for row in (await api.get(GRID, select="input~PART-0029"))["Items"]] == [0]
    assert [row["Index"] for row in (await api.get(GRID, select="!input~part"))["Items"]] == [1]
    assert (await api.ask("GET", f"{GRID}/9/inputs")).status_code == 404


def tail(stream: Stream, content: bytes, offset: int = 0) -> tuple[LogTail, ...]:
    return (LogTail(stream=stream, offset=offset, content=content),)


async def test_a_text_is_found_in_the_logs_with_its_place(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=4)
    await agent.sync()
    agent.run(2)
    await agent.sync()
    await agent.put_log(agent.at(2), "out", 0, b"still going\nno error yet")
    agent.end(0, tails=tail(Stream.OUT, b"one\ntwo\nAn ERROR here, error there\n\nerror"))
    agent.end(1, tails=tail(Stream.ERR, b"x" * 2000 + b" error " + b"y" * 2000))
    agent.end(3, tails=tail(Stream.OUT, b"fine\n"))
    await agent.sync()
    found = await api.get(SEARCH, q="error")
    places = [(one["Partition"], one["Stream"], one["Line"], one["Offset"]) for one in found["Items"]]
    assert places == [(0, "out", 3, 8), (0, "out", 5, 36), (1, "err", 1, 0), (2, "out", 2, 12)]
    assert found["Items"][0]["Text"] == "An ERROR here, error there"
    assert " error " in found["Items"][2]["Text"]
    assert len(found["Items"][2]["Text"]) == 500
    assert (found["Searched"], found["Selected"], found["Cut"], found["NextPartition"]) == (4, 4, "", None)
    cut = await api.get(SEARCH, q="error", limit=2)
    assert (len(cut["Items"]), cut["Cut"], cut["NextPartition"], cut["Searched"]) == (2, "limit", 1, 1)
    rest = await api.get(SEARCH, q="error", **{"from": 1})
    assert [one["Partition"] for one in rest["Items"]] == [1, 2]
    assert (await api.get(SEARCH, q="error", select="3"))["Items"] == []
    assert (await api.get(SEARCH, q="[", select="all"))["Items"] == []
    for query, named in (("q=", "q"), ("q=x&select=fooled", "fooled"), ("q=x&limit=-1", "limit")):
        answer = await api.ask("GET", f"{SEARCH}?{query}")
        assert (answer.status_code, named in answer.json()["Message"]) == (400, True)


async def test_a_text_across_blocks_is_found_once_and_lines_are_counted(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.routes.search.BLOCK", 16)
    agent = Agent(api)
    await api.submit(count=1)
    await agent.sync()
    content = b"".join(b"line %d\n" % number for number in range(20)) + b"the needle in it\nmore\n"
    agent.end(0, tails=tail(Stream.OUT, content))
    await agent.sync()
    found = (await api.get(SEARCH, q="needle"))["Items"]
    assert [(one["Line"], one["Offset"], one["Text"]) for one in found] == [
        (21, content.index(b"the needle"), "the needle in it")
    ]
    assert len((await api.get(SEARCH, q="line"))["Items"]) == 20
    monkeypatch.setattr("orchestrator.routes.search.SECONDS", 0)
    assert (await api.get(SEARCH, q="line"))["Cut"] == "time"
