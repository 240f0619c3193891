"""Versions of a job over HTTP: run again, and compared; and what operators do to nodes."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from orchestrator.client import OrchestratorClient
from tests.helpers.server import JOBS, Agent, Api, orchestrator, plain_job
from tui.feed import Delta, Event, JobView, Offline, Online, Snapshot, follow

NODES = "/api/v1/orchestrator/nodes"


async def completed(api: Api, agent: Agent, job_id: str) -> None:
    """Run a job to its end."""
    await agent.sync()
    for one in list(agent.assigned.values()):
        agent.end(one.index)
    await agent.sync()
    await api.until(f"{JOBS}/{job_id}", lambda body: body["Job"]["State"]["StateType"] == "Completed")


async def test_a_rerun_of_an_older_version_has_its_spec_and_a_new_number(api: Api) -> None:
    agent = Agent(api)
    job_id = await api.submit("again", count=2)
    await completed(api, agent, job_id)
    await api.submit("again", count=3)
    await completed(api, agent, job_id)
    answer = await api.put(f"{JOBS}/again/rerun", {"JobVersion": 1, "Reason": "once more"})
    assert (answer["JobID"], answer["JobVersion"], answer["Warnings"]) == (job_id, 3, None)
    job = (await api.get(f"{JOBS}/{job_id}"))["Job"]
    assert (job["Count"], job["Version"]) == (2, 3)
    history = await api.get(f"{JOBS}/{job_id}/history")
    assert history["Items"][0]["Event"]["Message"] == "Job rerun requested"
    assert history["Items"][0]["Event"]["Details"]["Reason"] == "once more"
    await completed(api, agent, job_id)


async def test_who_follows_a_job_into_another_version_hears_of_no_trouble(api: Api) -> None:
    agent, view = Agent(api), JobView()
    await api.submit("again", count=2)
    await agent.sync()
    events: list[Event] = []
    async with (
        asyncio.timeout(20),
        OrchestratorClient(api.url) as client,
        aclosing(follow(client, "again", view)) as stream,
    ):
        async for event in stream:
            events.append(event)
            if view.version == 2:
                break
            if isinstance(event, Delta):
                await api.submit("again", count=3)
            else:
                agent.run(0)
                await agent.sync()
    assert events[-1] == Snapshot()
    assert len(events) > 2
    assert not [event for event in events if isinstance(event, Offline | Online)]
    assert view.count == 3


async def test_a_repeated_rerun_with_one_token_is_one_rerun(api: Api) -> None:
    agent = Agent(api)
    job_id = await api.submit(count=1)
    await completed(api, agent, job_id)
    first, second = [await api.put(f"{JOBS}/{job_id}/rerun", {"IdempotencyToken": "t"}) for _ in range(2)]
    assert first == second
    assert (await api.get(f"{JOBS}/{job_id}"))["Job"]["Version"] == 2


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        (f"{JOBS}/nope/rerun", {}, 404, "job not found: nope"),
        (f"{JOBS}/golden/rerun", {"JobVersion": 7}, 404, "job version 7 not found"),
        (f"{JOBS}/golden/rerun", {}, 409, "cannot rerun job in state"),
        (f"{JOBS}/golden/rerun", {"JobVersion": "x"}, 400, "JobVersion"),
        (f"{JOBS}/golden", {}, 405, "Method Not Allowed"),
        (f"{JOBS}/diff", {"Job": plain_job("")}, 400, "invalid job spec: name is missing"),
        (f"{JOBS}/diff", {"Job": plain_job("other")}, 404, "job name index not found: other:default"),
        (f"{JOBS}/diff", {"Job": None}, 400, "empty/nil job"),
    ],
)
async def test_what_cannot_be_run_again_or_compared_says_why(
    api: Api, path: str, body: dict[str, object], status: int, message: str
) -> None:
    await api.submit("golden")
    answer = await api.ask("PUT", path, body)
    assert answer.status_code == status, answer.text
    assert message in answer.json()["Message"]


async def test_a_diff_names_what_would_change_and_stores_nothing(api: Api) -> None:
    job_id = await api.submit("golden", count=3)
    same = await api.put(f"{JOBS}/diff", {"Job": plain_job("golden", count=3)})
    assert same == {"Diff": "", "Warnings": None}
    other = await api.put(f"{JOBS}/diff", {"Job": plain_job("golden", count=4, Labels={"a": "b"})})
    assert {'-   "Count": 3,', '+   "Count": 4,', '+     "a": "b"'} <= set(other["Diff"].splitlines())
    assert {line[0] for line in other["Diff"].splitlines()} <= {"+", "-", " "}
    assert (await api.get(f"{JOBS}/{job_id}"))["Job"]["Version"] == 1


async def test_a_job_that_is_called_diff_is_found(api: Api) -> None:
    job_id = await api.submit("diff")
    assert (await api.get(f"{JOBS}/diff"))["Job"]["ID"] == job_id
    assert (await api.get(f"{JOBS}/diff/history"))["Items"]


async def test_a_node_is_rejected_approved_and_deleted(api: Api) -> None:
    agent = Agent(api)
    await agent.sync()
    rejected = await api.put(f"{NODES}/n1", {"Action": "reject", "Message": "bad disk"})
    assert (rejected["Success"], rejected["success"]) == (True, True)
    assert (await agent.sync_raw()).status_code == 403
    again = await api.ask("PUT", f"{NODES}/n1", {"Action": "reject"})
    assert (again.status_code, again.json()["Message"]) == (409, "node n1 already rejected")
    await api.put(f"{NODES}/n1", {"Action": "approve"})
    assert (await api.get(f"{NODES}/n1"))["Node"]["Membership"] == "APPROVED"
    await api.put(f"{NODES}/n1", {"Action": "delete"})
    assert (await api.ask("GET", f"{NODES}/n1")).status_code == 404


async def test_an_unknown_action_names_those_there_are(api: Api) -> None:
    await Agent(api).sync()
    answer = await api.ask("PUT", f"{NODES}/n1", {"Action": "aprove"})
    assert answer.status_code == 400
    assert "approve, reject, delete" in answer.json()["Message"]
    assert answer.json()["Hint"] == "did you mean approve?"
    own = await api.get("/api/v1/agent/node")
    answer = await api.ask("PUT", f"{NODES}/{own['NodeID']}", {"Action": "delete"})
    assert answer.status_code == 400


async def test_a_drained_node_takes_nothing_more(api: Api) -> None:
    agent = Agent(api)
    await agent.sync()
    await api.put(f"{NODES}/n1", {"Action": "drain", "Reason": "new disk", "Deadline": "10m"})
    await api.submit("later", count=1)
    await agent.sync()
    assert agent.assigned == {}
    await api.put(f"{NODES}/n1", {"Action": "undrain"})
    await agent.sync()
    assert len(agent.assigned) == 1


async def test_answers_are_safe_inside_html_but_addresses_stay_as_they_are(api: Api) -> None:
    job_id = await api.submit("a <b> & c", count=1, Publisher={"Type": "local"})
    raw = (await api.ask("GET", f"{JOBS}/{job_id}")).content
    assert b"a \\u003cb\\u003e \\u0026 c" in raw
    assert (await api.get(f"{JOBS}/{job_id}"))["Job"]["Name"] == "a <b> & c"
    refused = await api.ask("GET", f"{JOBS}/<nope>")
    assert b"\\u003cnope\\u003e" in refused.content


async def test_a_head_has_no_body(api: Api) -> None:
    answer = await api.ask("HEAD", JOBS)
    assert answer.content == b""


async def test_where_nodes_are_approved_by_hand_one_waits_for_it_and_then_works(tmp_path: Path) -> None:
    async with orchestrator(tmp_path, manual_approval=True) as url:
        api = Api(url)
        agent = Agent(api)
        await agent.sync()
        assert (await api.get(f"{NODES}/n1"))["Node"]["Membership"] == "PENDING"
        assert [node["Info"]["NodeID"] for node in (await api.get(NODES, filter_approval="pending"))["Nodes"]] == ["n1"]
        await api.submit("waits", count=1)
        await agent.sync()
        assert agent.assigned == {}
        await api.put(f"{NODES}/n1", {"Action": "approve"})
        await agent.sync()
        assert len(agent.assigned) == 1
        await api.http.aclose()
