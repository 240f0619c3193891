"""Logs over WebSocket: Bacalhau's frames for one execution, ours for many partitions, followed over attempts."""

import asyncio
import base64
import contextlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from orchestrator.contract.agent import LogMark, LogTail, Stream
from orchestrator.contract.execution import Cause
from tests.helpers.server import JOBS, Agent, Api, orchestrator

OUT, ERR = Stream.OUT, Stream.ERR


def socket_of(api: Api, query: str, job: str = "golden") -> connect:
    return connect(f"{api.url.replace('http', 'ws')}{JOBS}/{job}/logs?{query}", proxy=None)


async def rest(socket: ClientConnection) -> list[str]:
    """All frames up to the end, which has to be a normal one."""
    async with asyncio.timeout(10):
        frames = [str(frame) async for frame in socket]
    assert socket.close_code == 1000
    return frames


async def frames_of(api: Api, query: str, job: str = "golden") -> list[str]:
    async with socket_of(api, query, job) as socket:
        return await rest(socket)


async def values_of(api: Api, query: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(frame)["value"] for frame in await frames_of(api, query)]


async def lines_of(api: Api, query: str) -> list[tuple[int, int, str]]:
    values = await values_of(api, query)
    return [(value["Partition"], value["Attempt"], value["Line"]) for value in values]


def tail(stream: Stream, content: bytes, at: float = 1.0) -> LogTail:
    return LogTail(stream=stream, offset=0, content=content, marks=(LogMark(offset=len(content), at=at),))


async def ended_job(api: Api, agent: Agent) -> None:
    """Two partitions, the second with lines on both streams."""
    await api.submit(count=2)
    await agent.sync()
    agent.end(0, tails=(tail(OUT, b"zero\n"),))
    await agent.sync()
    agent.end(1, tails=(tail(OUT, b"a\nb\nc"), tail(ERR, b"e\n", 0.5)))
    await agent.sync()


async def test_bacalhaus_frames_to_the_byte(api: Api) -> None:
    await ended_job(api, Agent(api))
    assert await frames_of(api, "") == [
        '{"value":{"Type":2,"Line":"e\\n"}}\n',
        '{"value":{"Type":1,"Line":"a\\n"}}\n',
        '{"value":{"Type":1,"Line":"b\\n"}}\n',
        '{"value":{"Type":1,"Line":"c"}}\n',
    ]
    first = (await api.get(f"{JOBS}/golden/executions"))["Items"][0]["ID"]
    assert await frames_of(api, f"execution_id={first}&follow=true") == ['{"value":{"Type":1,"Line":"zero\\n"}}\n']
    assert await frames_of(api, "tail=true") == []


async def test_errors_come_as_frames(api: Api) -> None:
    await api.submit(count=1)
    (unknown,) = await frames_of(api, "", "nope")
    assert unknown == '{"value":{"Type":0,"Line":""},"error":"job not found: nope"}\n'
    (none_yet,) = await frames_of(api, "")
    assert "no executions found for job golden" in none_yet
    for query, named in (
        ("partitions=fooled", "fooled"),
        ("partitions=all&attempt=x", "attempt"),
        ("partitions=all&stream=x", "stream"),
        ("partitions=all&since=x", "since"),
        ("partitions=all&tail=-2", "tail"),
        ("partitions=0&attempt=4", "attempt not found: 4"),
        ("follow=maybe", "follow"),
    ):
        (frame,) = await frames_of(api, query)
        assert named in msgspec.json.decode(frame)["error"], frame
    await Agent(api).sync()
    (wrong,) = await frames_of(api, "execution_id=e-1")
    assert "unable to find execution e-1 in job" in wrong
    plain = await api.ask("GET", f"{JOBS}/golden/logs")
    assert (plain.status_code, plain.json()["Code"]) == (400, "BadRequest")


@pytest.mark.parametrize("query", ["", "partitions=all"])
async def test_a_running_log_is_read_as_it_is_written_not_as_it_was_shipped(api: Api, query: str) -> None:
    await api.submit(count=1)
    agent = Agent(api)
    await agent.sync()
    agent.run(0)
    await agent.sync()
    execution = agent.at(0)
    await agent.put_log(execution, "out", 0, b"shipped\n")
    async with socket_of(api, query) as socket:
        while not agent.assigned[execution].is_followed:
            await agent.sync()
        await agent.put_log(execution, "out", 8, b"written\n")
        await agent.put_log(execution, "err", 0, b"too\n")
        values = [msgspec.json.decode(frame)["value"] for frame in await rest(socket)]
    assert sorted(value["Line"] for value in values) == ["shipped\n", "too\n", "written\n"]
    await agent.sync()
    assert not agent.assigned[execution].is_followed, "asked for once"
    asking = asyncio.create_task(api.get(f"{JOBS}/golden/partitions/0/attempts/1/log", fresh="true"))
    while not agent.assigned[execution].is_followed:
        await agent.sync()
    await agent.put_log(execution, "out", 16, b"more\n")
    assert base64.b64decode((await asking)["Data"]) == b"shipped\nwritten\nmore\n"


async def test_many_partitions_come_in_one_stream(api: Api) -> None:
    await ended_job(api, Agent(api))
    assert await lines_of(api, "partitions=all") == [
        (0, 1, "zero\n"),
        (1, 1, "e\n"),
        (1, 1, "a\n"),
        (1, 1, "b\n"),
        (1, 1, "c"),
    ]
    assert await lines_of(api, "partitions=1&stream=out&tail=2") == [(1, 1, "b\n"), (1, 1, "c")]
    assert await lines_of(api, "partitions=1&tail=0") == []
    assert await lines_of(api, "partitions=completed&attempt=2") == []
    (value, *_) = await values_of(api, "partitions=0&timestamps=true")
    assert value["Time"].startswith("20")
    assert await lines_of(api, "partitions=0&since=1h") == [(0, 1, "zero\n")]
    assert await lines_of(api, f"partitions=0&since={value['Time'][:4]}-12-31T23:59:59Z") == []


async def next_value(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(10):
        value: dict[str, Any] = msgspec.json.decode(await socket.recv())["value"]
        return value


async def test_following_asks_the_node_and_ends_with_the_execution(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=1)
    await agent.sync()
    agent.run(0)
    await agent.sync()
    execution = agent.at(0)
    held = asyncio.ensure_future(agent.sync(wait=10))
    async with socket_of(api, "follow=true") as socket:
        async with asyncio.timeout(8):
            (one,) = (await held).assignments
        assert one.is_followed
        await agent.put_log(execution, "out", 0, b"first\nsec")
        assert (await next_value(socket))["Line"] == "first\n"
        await agent.put_log(execution, "out", 9, b"ond\n")
        assert (await next_value(socket))["Line"] == "second\n"
        agent.end(0, tails=(LogTail(stream=OUT, offset=13, content=b"last"),))
        await agent.sync()
        assert await rest(socket) == ['{"value":{"Type":1,"Line":"last"}}\n']
    (same,) = (await api.get(f"{JOBS}/golden/partitions/0"))["Attempts"]
    assert same["State"] == "completed"


async def test_a_follower_who_leaves_is_forgotten(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=1)
    await agent.sync()
    agent.run(0)
    await agent.sync()
    async with socket_of(api, "partitions=all&follow=true"):
        async with asyncio.timeout(30):
            while not (await agent.sync(wait=1)).assignments[0].is_followed:
                pass
    async with asyncio.timeout(30):
        while (await agent.sync(wait=1)).assignments[0].is_followed:
            pass


async def test_following_waits_for_the_start_and_crosses_attempts(api: Api) -> None:
    await api.submit(count=1, Retry={"MaxAttempts": 2, "Backoff": {"Initial": 0.05, "Jitter": False}})
    async with socket_of(api, "partitions=all&follow=true") as socket:
        waiting = await next_value(socket)
        assert waiting["event"] if "event" in waiting else waiting["Event"].startswith("waiting: no node has joined")
        agent = Agent(api)
        await agent.sync()
        agent.end(0, exit_code=1, cause=Cause.EXIT, tails=(tail(OUT, b"one\n"),))
        await agent.sync()
        value = await next_value(socket)
        assert (value["Line"], value["Partition"], value["Attempt"]) == ("one\n", 0, 1)
        assert (await next_value(socket))["Event"] == "attempt 2 on n1"
        while not (await agent.sync(wait=1)).assignments:
            pass
        agent.end(0, tails=(tail(OUT, b"two\n"),))
        await agent.sync()
        (last,) = await rest(socket)
        assert msgspec.json.decode(last)["value"] == {"Type": 1, "Line": "two\n", "Partition": 0, "Attempt": 2}
    assert await lines_of(api, "partitions=all&attempt=1") == [(0, 1, "one\n")]
    assert await lines_of(api, "partitions=all&attempt=all") == [(0, 1, "one\n"), (0, 2, "two\n")]
    assert await lines_of(api, "partitions=all") == [(0, 2, "two\n")]


async def test_following_begins_with_the_last_lines(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=1)
    await agent.sync()
    agent.run(0)
    await agent.sync()
    execution = agent.at(0)
    content = b"".join(b"line %d\n" % number for number in range(30_000))
    await agent.put_log(execution, "out", 0, content)
    async with socket_of(api, "partitions=0&follow=true&tail=2") as socket:
        assert [(await next_value(socket))["Line"] for _ in range(2)] == ["line 29998\n", "line 29999\n"]
        await agent.put_log(execution, "out", len(content), b"new\n")
        assert (await next_value(socket))["Line"] == "new\n"


async def how_it_closed(socket: ClientConnection) -> int | None:
    """The close code, after all that was sent before it."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await socket.recv()
    return socket.close_code


async def test_those_who_wait_do_not_keep_the_orchestrator_from_ending(tmp_path: Path) -> None:
    serving = orchestrator(tmp_path)
    api = Api(await serving.__aenter__())
    agent = Agent(api)
    await api.submit(count=1)
    await agent.sync()
    agent.run(0)
    await agent.sync()
    async with (
        socket_of(api, "partitions=all&follow=true") as many,
        socket_of(api, "follow=true") as one,
        api.http.stream("GET", f"{JOBS}/golden/watch") as watching,
    ):
        await anext(watching.aiter_lines())
        began = asyncio.get_running_loop().time()
        await serving.__aexit__(None, None, None)
        assert asyncio.get_running_loop().time() - began < 3
        for socket in (many, one):
            assert await how_it_closed(socket) == 1012
    await api.http.aclose()
