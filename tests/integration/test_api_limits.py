"""An address that asks too much is told so; others, nodes and open streams do not feel it."""

import json
import time

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from orchestrator import ratelimit
from tests.helpers.server import JOBS, Agent, Api

ALIVE = "/api/v1/agent/alive"
ENVELOPE = {
    "Status": 429,
    "Message": "rate limit exceeded",
    "RequestID": "mine",
    "Code": "InternalError",
    "Component": "APIServer",
}


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = time.monotonic() + 60

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the limit, standing; every bucket is full."""
    clock = Clock()
    monkeypatch.setattr(ratelimit, "monotonic", clock)
    return clock


async def exhaust(api: Api) -> None:
    """Use up what this address may ask."""
    while (await api.ask("GET", ALIVE)).status_code == 200:
        pass


async def test_1000_requests_pass_then_429_then_they_pass_again(api: Api, clock: Clock) -> None:
    for _ in range(1000):
        assert (await api.ask("GET", ALIVE)).status_code == 200
    for method, path in (("GET", ALIVE), ("GET", "/nope"), ("PUT", JOBS), ("OPTIONS", JOBS)):
        refused = await api.ask(method, path, headers={"X-Request-ID": "mine"})
        assert (refused.status_code, refused.json()) == (429, ENVELOPE), (method, path)
        assert set(refused.headers) - {"date"} == {"content-type", "content-length", "vary", "x-request-id"}
        assert refused.headers["x-request-id"] == "mine"
    unnamed = await api.ask("GET", ALIVE)
    assert (len(unnamed.headers["x-request-id"]), unnamed.json()["RequestID"]) == (32, "")
    other = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
    async with httpx.AsyncClient(base_url=api.url, transport=other) as neighbour:
        assert (await neighbour.get(ALIVE)).status_code == 200
    clock.now += 0.0021
    assert [(await api.ask("GET", ALIVE)).status_code for _ in range(3)] == [200, 200, 429]
    clock.now += 1
    assert [(await api.ask("GET", ALIVE)).status_code for _ in range(1001)].count(200) == 1000


async def test_nodes_are_heard_and_open_streams_go_on_while_their_address_asks_too_much(api: Api, clock: Clock) -> None:
    job_id = await api.submit("golden", count=1)
    agent = Agent(api)
    await agent.sync()
    cursor = (await api.get(f"{JOBS}/{job_id}/partitions"))["Cursor"]
    logs = f"{api.url.replace('http', 'ws')}{JOBS}/{job_id}/logs?follow=true"
    async with (
        connect(logs, proxy=None) as socket,
        api.http.stream("GET", f"{JOBS}/{job_id}/watch", params={"after": cursor}) as watch,
    ):
        await exhaust(api)
        with pytest.raises(InvalidStatus) as refused:
            await connect(logs, proxy=None)
        body = refused.value.response.body
        assert body is not None
        assert (refused.value.response.status_code, json.loads(body)["Message"]) == (429, ENVELOPE["Message"])
        for _ in range(1100):
            await agent.sync()
        for path in ("/api/v1/agents/n1/join", "/api/v1/agents/n1/join/"):
            joining = await api.ask("POST", path, {"TokenHash": "0" * 64})
            assert joining.status_code == 429, "where tokens may be tried out nobody is a node yet"
        agent.run(0)
        await agent.sync()
        await anext(watch.aiter_lines())
        await (await socket.ping())
    clock.now += 1
    assert (await api.ask("GET", ALIVE)).status_code == 200
