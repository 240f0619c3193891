"""The list of jobs costs the server one list and one watch, however many jobs; without these it is asked for."""

from contextlib import aclosing

import httpx
import msgspec

from orchestrator.client import OrchestratorClient
from orchestrator.contract.ids import JobId, NodeId
from orchestrator.contract.job import JobStateType
from orchestrator.contract.overview import ClusterFrame, JobSummary, Progress
from tests.helpers.fake_api import CREATED, JOBS, FakeApi, job_of, node_of, ordinary
from tui.overview import Overview

HALF = Progress(attempts=5, retries=2, failed=1, share=0.5)


def told(name: str, completed: int) -> JobSummary:
    return JobSummary(
        job_id=JobId(f"j-{name}"),
        job_version=1,
        name=name,
        namespace="default",
        type="batch",
        engine="process",
        priority=0,
        count=4,
        labels={},
        owner="i-7",
        state="Running",
        message="",
        summary={"Completed": completed, "Waiting": 4 - completed},
        progress=HALF,
        create_time=CREATED,
        modify_time=CREATED,
    )


def cluster() -> FakeApi:
    api = ordinary()
    job = msgspec.to_builtins(job_of(4, JobStateType.RUNNING, name="listed"))
    job |= {"Summary": {"Completed": 1, "Waiting": 3}, "Progress": msgspec.to_builtins(HALF)}
    api.on("GET", JOBS, {"NextToken": "", "Items": [job]})
    frames = (
        ClusterFrame(cursor="a.1", is_snapshot=True, jobs=(told("one", 1), told("two", 0)), nodes=(node_of(),)),
        ClusterFrame(cursor="a.2", jobs=(told("two", 3),)),
        ClusterFrame(cursor="a.3", gone_nodes=(NodeId("n1"),)),
    )
    lines = b"".join(msgspec.json.encode(frame) + b"\n" for frame in frames)
    api.on("GET", "/api/v1/orchestrator/watch", lines)
    return api


async def steps(api: FakeApi, overview: Overview, number: int) -> None:
    async with (
        OrchestratorClient("http://127.0.0.1:1", transport=httpx.MockTransport(api)) as client,
        aclosing(overview.follow(client, lambda: 0.01)) as changes,
    ):
        for _ in range(number):
            await anext(changes)


async def test_the_list_brings_how_far_jobs_are_and_no_grid_is_asked_for() -> None:
    api, overview = cluster(), Overview()
    await steps(api, overview, 1)
    (line,) = overview.lines.values()
    assert (line.name, line.completed, line.retries) == ("listed", 1, 2)
    assert not [request for request in api.requests if request.url.path.endswith("/partitions")]


async def test_the_watch_replaces_the_list_then_changes_it() -> None:
    overview = Overview()
    await steps(cluster(), overview, 2)
    assert {line.name: line.completed for line in overview.lines.values()} == {"one": 1, "two": 0}
    assert overview.nodes_text() == "1 node ok"
    await steps(cluster(), overview, 4)
    assert {line.name: line.completed for line in overview.lines.values()} == {"one": 1, "two": 3}
    assert overview.nodes == ()


async def test_without_a_watch_and_summaries_lists_and_grids_are_asked_for_again_and_again() -> None:
    api, overview = ordinary(), Overview()
    await steps(api, overview, 3)
    (line,) = overview.lines.values()
    assert (line.completed, line.failed) == (4, 1)
    asked = [request.url.path for request in api.requests]
    assert asked.count(JOBS) == 4, "once in vain for summaries"
    assert asked.count("/api/v1/orchestrator/watch") == 1
    assert sum(path.endswith("/partitions") for path in asked) == 1, "an ended job is asked for once"
