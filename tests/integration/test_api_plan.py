"""`PUT jobs` with `DryRun` over HTTP: what a submission would do, and that it does nothing."""

from typing import Any

from tests.helpers.server import JOBS, Agent, Api, plain_job


async def plan(api: Api, job: Any) -> Any:
    return await api.put(JOBS, {"Job": job, "DryRun": True})


async def test_a_new_job_is_planned_and_not_taken_in(api: Api) -> None:
    await Agent(api, cpu=4).sync()
    await Agent(api, "n2", cpu=1).sync()
    found = await plan(api, plain_job("golden", count=7, cpu="2"))
    assert (found["Kind"], found["NewVersion"], found["OldVersion"], found["Partitions"]) == ("new", 1, 0, 7)
    assert found["Nodes"] == [
        {"NodeID": "n1", "Matches": True, "Reason": "", "Slots": 2},
        {"NodeID": "n2", "Matches": False, "Reason": "has 1 CPU in all, needs 2", "Slots": 0},
    ]
    assert (await api.get(JOBS))["Items"] == []


async def test_every_problem_is_told_with_its_path(api: Api) -> None:
    job = plain_job("golden", count=-1, cpu="many")
    found = await plan(api, job | {"Colour": "red"})
    assert found["Kind"] == "invalid"
    assert {"Count", "Colour", "Tasks[0].Resources.CPU"} <= {problem["Path"] for problem in found["Problems"]}


async def test_an_update_is_told_with_every_difference(api: Api) -> None:
    agent = Agent(api)
    job_id = await api.submit(count=2, Labels={"team": "a"})
    await agent.sync()
    agent.run(0, 1)
    await agent.sync()
    same = plain_job("golden", count=2, Labels={"team": "a"})
    assert (await plan(api, same))["Kind"] == "unchanged"
    changed = plain_job("golden", count=5, cpu="2", Labels={"team": "b", "new": "x"})
    found = await plan(api, changed)
    assert (found["Kind"], found["JobID"], found["OldVersion"], found["NewVersion"]) == ("update", job_id, 1, 2)
    assert (found["Stopping"], found["Partitions"]) == (2, 5)
    assert found["Differences"] == [
        {"Path": "Count", "Old": 2, "New": 5},
        {"Path": "Labels.new", "Old": None, "New": "x"},
        {"Path": "Labels.team", "Old": "a", "New": "b"},
        {"Path": "Tasks[0].Resources.CPU", "Old": "1", "New": "2"},
    ]
    assert (await api.get(f"{JOBS}/golden"))["Job"]["Version"] == 1


async def test_nodes_that_take_nothing_now_say_why(api: Api) -> None:
    agent = Agent(api, cpu=1)
    await agent.sync()
    await api.submit("busy", count=1)
    await agent.sync()
    (node,) = (await plan(api, plain_job("golden")))["Nodes"]
    assert (node["Matches"], node["Reason"]) == (True, "has 0 CPU free, needs 1")
    await api.put("/api/v1/orchestrator/nodes/n1", {"Action": "drain", "Reason": "disk"})
    (node,) = (await plan(api, plain_job("golden")))["Nodes"]
    assert (node["Matches"], node["Reason"]) == (False, "is being drained: disk")
    (node,) = (await plan(api, plain_job("golden", Constraints=[{"Key": "a", "Operator": "=", "Values": ["b"]}])))[
        "Nodes"
    ]
    assert (node["Matches"], node["Reason"]) == (False, "has no label a, needs a = b")
