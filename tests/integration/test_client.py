"""The typed client against a real orchestrator: what it asks is understood, and what it gets."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from orchestrator.client import ClientError, OrchestratorClient
from orchestrator.client_stream import LogQuery, logs, watch, watch_cluster
from orchestrator.contract.agent import InputObject, Inputs, LogTail, Stream
from orchestrator.contract.decode import decode_job
from orchestrator.contract.execution import Cause
from orchestrator.contract.job import Job, ResourcesConfig
from orchestrator.contract.plan import PlanKind
from tests.helpers.server import Agent, Api, plain_job

FIELDS = "Started,Finished,Failure"


@pytest.fixture
async def client(api: Api) -> AsyncIterator[OrchestratorClient]:
    async with OrchestratorClient(api.url) as client:
        yield client


def job(count: int) -> Job:
    found = decode_job(plain_job("golden", count=count, Retry={"MaxAttempts": 1})).job
    assert found is not None
    return found


async def test_the_log_of_an_execution_of_an_earlier_version_can_be_read(api: Api, client: OrchestratorClient) -> None:
    agent = Agent(api)
    await agent.sync()
    await client.submit(job(1))
    await agent.sync()
    former = agent.end(0, tails=(LogTail(stream=Stream.OUT, offset=0, content=b"a\nb\n"),))
    await agent.sync()
    await client.rerun("golden")
    (old,) = [one for one in (await client.executions("golden", all_versions=True)).items if one.id == former]
    for tail, lines in ((None, ["a\n", "b\n"]), (1, ["b\n"])):
        found = [frame async for frame in logs(client, "golden", LogQuery(execution=old, tail=tail))]
        assert [(frame.partition, frame.attempt, frame.line) for frame in found] == [(0, 1, line) for line in lines]


async def test_a_job_is_planned_submitted_held_and_listed(api: Api, client: OrchestratorClient) -> None:
    agent = Agent(api)
    await agent.sync()
    assert (await client.plan(job(2))).kind is PlanKind.NEW
    await client.submit(job(2))
    planned = await client.plan(job(3))
    assert (planned.kind, planned.new_version, planned.nodes[0].matches) == (PlanKind.UPDATE, 2, True)
    assert (await client.suspend("golden", "wait")).evaluation_id
    (listed,) = (await client.jobs_with_summary(limit=5)).items
    assert (listed.name, listed.is_suspended, sum(listed.summary.values())) == ("golden", True, 2)
    assert (listed.progress.attempts, listed.progress.share) == (2, 0.0)
    assert (await client.resume("golden")).evaluation_id


async def test_a_retry_that_differs_is_bound_to_its_count(api: Api, client: OrchestratorClient) -> None:
    agent = Agent(api)
    await agent.sync()
    await client.submit(job(2))
    await agent.sync()
    inputs = Inputs(objects=(InputObject(name="/in/a", size=1),))
    for index in (0, 1):
        tails = (LogTail(stream=Stream.ERR, offset=0, content=b"no\nsuch needle\n"),)
        agent.end(index, exit_code=7, cause=Cause.EXIT, message="boom", inputs=inputs, tails=tails)
    await agent.sync()
    grid = await client.grid("golden", fields=FIELDS)
    assert (len(grid.started), len(grid.finished), len(grid.failure), len(grid.groups)) == (8, 8, 4, 1)
    assert [one.name for one in (await client.inputs("golden", 0)).items[0].items] == ["/in/a"]
    found = await client.search_logs("golden", "NEEDLE", select="failed", limit=10, first=1)
    assert [(one.partition, one.line) for one in found.items] == [(1, 2)]
    counted = await client.retry_partitions("golden", "failed", dry_run=True)
    await client.retry_partitions("golden", "0")
    more = ResourcesConfig(memory="2mb")
    with pytest.raises(ClientError) as refused:
        await client.retry_partitions("golden", "failed", resources=more, if_cursor=counted.cursor)
    assert (refused.value.status, refused.value.code) == (409, "CountChanged")
    done = await client.retry_partitions(
        "golden", "failed", resources=more, timeout=60, avoid_nodes=["n1"], add_attempts=2
    )
    assert done.count == 1
    stopped = await client.stop_partitions("golden", "1", "no", dry_run=True)
    assert (await client.stop_partitions("golden", "1", "no", if_cursor=stopped.cursor)).count == 1


async def test_watches_and_events_are_typed(api: Api, client: OrchestratorClient) -> None:
    agent = Agent(api)
    await agent.sync()
    await client.submit(job(1))
    async with aclosing(watch_cluster(client)) as frames:
        first = await anext(frames)
    assert (first.is_snapshot, first.jobs[0].name, {node.info.node_id for node in first.nodes} >= {"n1"}) == (
        True,
        "golden",
        True,
    )
    cursor = (await client.grid("golden")).cursor
    await agent.sync()
    agent.end(0, exit_code=7, cause=Cause.EXIT, message="boom")
    await agent.sync()
    async with aclosing(watch(client, "golden", cursor, fields=FIELDS)) as changes:
        await anext(changes)
        frame = await anext(changes)
    assert (len(frame.started), len(frame.failure), frame.groups[0].message) == (4, 2, "boom")
    changed = await client.change_node("n1", "drain", reason="disk", deadline=60)
    assert (changed.success, changed.running) == (True, 0)
    drain = (await client.node("n1")).drain
    assert drain is not None
    assert (drain.reason, bool(drain.deadline)) == ("disk", True)
    events = await client.events(limit=1000)
    assert events.items[-1].message == "Node is being drained"
    assert (await client.events(after=events.cursor)).items == ()
