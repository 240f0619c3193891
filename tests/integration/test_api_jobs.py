"""Jobs over HTTP: Bacalhau's endpoints against the real orchestrator, with an agent that a script plays."""

from typing import Any

from orchestrator.contract.execution import Cause
from tests.helpers.server import JOBS, Agent, Api, plain_job


async def done_job(api: Api, agent: Agent, name: str = "golden", count: int = 2) -> str:
    job_id = await api.submit(name, count=count)
    await agent.sync()
    for index in range(count):
        agent.end(index, out="hi\n")
    await agent.sync()
    return job_id


async def refusal(api: Api, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
    answer = await api.ask(method, path, body, **options)
    assert answer.headers["content-type"] == "application/json"
    envelope = answer.json()
    assert envelope["Status"] == answer.status_code
    return answer.status_code, envelope


async def test_a_job_runs_to_its_end(api: Api) -> None:
    agent = Agent(api)
    job_id = await api.submit(count=2)
    assert {one.index for one in (await agent.sync()).assignments} == {0, 1}
    assert (await api.get(f"{JOBS}/{job_id}"))["Job"]["State"]["StateType"] == "Running"
    agent.run(0, 1)
    await agent.sync()
    executions = (await api.get(f"{JOBS}/golden/executions"))["Items"]
    assert [one["ComputeState"]["StateType"] for one in executions] == [6, 6]
    assert [one.get("PartitionIndex", 0) for one in executions] == [0, 1]
    assert executions[1]["Job"]["ID"] == job_id
    agent.end(0, out="hi\n")
    agent.end(1)
    assert (await agent.sync()).assignments == ()
    answer = await api.get(f"{JOBS}/{job_id}", include="history, executions")
    assert answer["Job"]["State"] == {"StateType": "Completed"}
    assert [one["ComputeState"]["StateType"] for one in answer["Executions"]["Items"]] == [9, 9]
    assert answer["Executions"]["Items"][0]["RunOutput"]["Stdout"] == "hi\n"
    messages = [line["Event"]["Message"] for line in answer["History"]["Items"]]
    assert messages[0] == "Job submitted"
    assert messages[-1] == "Completed"
    assert answer["History"]["Items"][0]["SeqNum"] == 1


async def test_history_token_is_empty_only_when_the_job_has_ended_and_all_was_read(api: Api) -> None:
    agent = Agent(api)
    job_id = await api.submit(count=1)
    path = f"{JOBS}/{job_id}/history"
    page = await api.get(path, limit=1)
    assert len(page["Items"]) == 1
    rest = await api.get(path, limit=50, next_token=page["NextToken"])
    assert rest["NextToken"], "the job goes on, so its history does"
    again = await api.get(path, next_token=rest["NextToken"])
    assert again == {"NextToken": rest["NextToken"], "Items": []}
    await agent.sync()
    agent.end(0)
    await agent.sync()
    last = await api.get(path, next_token=rest["NextToken"])
    assert last["Items"]
    assert last["NextToken"] == ""
    assert (await api.get(path, event_type="job"))["Items"][0]["Type"] == "JobLevel"
    execution = next(line["ExecutionID"] for line in last["Items"] if "ExecutionID" in line)
    for known in (execution, execution[:8]):
        assert (await api.get(path, execution_id=known))["Items"]
        assert (await api.get(path, execution_id=known, event_type="job"))["Items"] == []
    for unknown in ("e-nope", "e-00000000-0000-4000-8000-000000000000"):
        refused = await api.ask("GET", f"{path}?execution_id={unknown}")
        assert (refused.status_code, refused.json()["Message"]) == (404, f"execution not found: {unknown}")
    numbers: list[int] = []
    token = ""
    while True:
        page = await api.get(path, limit=2, next_token=token)
        numbers += [line["SeqNum"] for line in page["Items"]]
        token = page["NextToken"]
        if not token:
            break
    assert numbers == list(range(1, len(numbers) + 1))


async def test_jobs_are_listed_in_pages_by_label_and_order(api: Api) -> None:
    for number in range(3):
        await api.submit(f"j{number}", Labels={"odd": str(number % 2)})
    first = await api.get(JOBS, limit=2, order_by="created_at")
    assert [job["Name"] for job in first["Items"]] == ["j0", "j1"]
    second = await api.get(JOBS, next_token=first["NextToken"])
    assert [job["Name"] for job in second["Items"]] == ["j2"]
    assert second["NextToken"] == ""
    assert [job["Name"] for job in (await api.get(JOBS, reverse="True"))["Items"]] == ["j2", "j1", "j0"]
    assert [job["Name"] for job in (await api.get(JOBS, labels="odd in (1)"))["Items"]] == ["j1"]
    assert (await api.get(JOBS, namespace="other"))["Items"] == []
    assert len((await api.get(JOBS, namespace="*", limit="", next_token=""))["Items"]) == 3
    assert (await api.get(JOBS, include="summary"))["Items"][0]["Summary"] == {"Waiting": 3}


async def test_a_job_is_found_by_name_id_and_short_id(api: Api) -> None:
    job_id = await api.submit("a job, named?")
    for wanted in ("a%20job%2C%20named%3F", job_id, job_id[:10]):
        assert (await api.get(f"{JOBS}/{wanted}"))["Job"]["ID"] == job_id
    await api.submit("second")
    status, envelope = await refusal(api, "GET", f"{JOBS}/j-")
    assert (status, envelope["Code"], envelope["Hint"]) == (409, "MultipleJobsFound", "Use full job ID")
    status, envelope = await refusal(api, "GET", f"{JOBS}/nope")
    assert (status, envelope["Code"], envelope["Component"]) == (404, "NotFound", "JobStore")
    assert envelope["Message"] == "job not found: nope"


async def test_an_update_makes_a_version_and_no_change_makes_none(api: Api) -> None:
    job_id = await api.submit(count=1)
    status, envelope = await refusal(api, "PUT", JOBS, {"Job": plain_job("golden", count=1)})
    assert status == 409
    assert envelope["Hint"] == "Use the --force flag to override this warning"
    answer = await api.put(JOBS, {"job": plain_job("golden", count=4), "force": False})
    assert (answer["JobID"], answer["JobVersion"], answer["Warnings"]) == (job_id, 2, None)
    assert (await api.put(JOBS, {"Job": plain_job("golden", count=4), "Force": True}))["JobVersion"] == 3
    versions = (await api.get(f"{JOBS}/golden/versions"))["Items"]
    assert [(job["Version"], job["Count"]) for job in versions] == [(1, 1), (2, 4), (3, 4)]
    assert (await api.get(f"{JOBS}/golden", job_version=1))["Job"]["Count"] == 1
    status, envelope = await refusal(api, "GET", f"{JOBS}/golden?job_version=9")
    assert (status, envelope["Message"]) == (404, "job version 9 not found for job golden")


async def test_a_job_is_stopped_at_once_and_stopping_it_again_does_nothing(api: Api) -> None:
    agent = Agent(api)
    job_id = await api.submit(count=1)
    await agent.sync()
    agent.run(0)
    await agent.sync()
    answer = await api.ask("DELETE", f"{JOBS}/golden?reason=None", {"reason": "enough"})
    assert answer.json()["EvaluationID"]
    job = (await api.get(f"{JOBS}/{job_id}"))["Job"]
    assert job["State"] == {"StateType": "Stopped", "Message": "enough"}
    assert (await api.get(f"{JOBS}/golden/partitions"))["Summary"] == {"Stopping": 1}
    assert (await api.ask("DELETE", f"{JOBS}/golden")).json() == {"EvaluationID": ""}
    assert (await agent.sync()).assignments == ()
    await done_job(api, agent, "other", 1)
    status, envelope = await refusal(api, "DELETE", f"{JOBS}/other", {})
    assert (status, envelope["Message"]) == (409, "cannot stop job in state Completed")


async def test_a_failed_attempt_says_why(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=1, Retry={"MaxAttempts": 1})
    await agent.sync()
    agent.end(0, exit_code=7, cause=Cause.EXIT, message="no such file", out="x")
    await agent.sync()
    execution = (await api.get(f"{JOBS}/golden/executions"))["Items"][0]
    assert execution["ComputeState"] == {
        "StateType": 10,
        "Message": "no such file",
        "Details": {"Cause": "exit", "ExitCode": "7"},
    }
    assert (execution["RunOutput"]["ExitCode"], execution["RunOutput"]["Stdout"]) == (7, "x")
    assert execution["DesiredState"]["StateType"] == 2
    assert "no such file" in (await api.get(f"{JOBS}/golden"))["Job"]["State"]["Message"]


async def test_a_repeated_token_is_answered_as_the_first_time(api: Api) -> None:
    body = {"Job": plain_job("", count=1), "IdempotencyToken": "t-1"}
    first = await api.ask("PUT", JOBS, body)
    second = await api.ask("PUT", JOBS, body)
    assert first.content == second.content
    assert len((await api.get(JOBS))["Items"]) == 1
    third = await api.put(JOBS, body | {"IdempotencyToken": "t-2"})
    assert third["JobID"] != first.json()["JobID"]


async def test_who_submitted_is_kept_and_reserved_metadata_is_not(api: Api) -> None:
    job = plain_job("golden", Meta={"a": "b", "bacalhau.org/x": "y"}, ID="mine", Version=4)
    headers = {"X-Bacalhau-InstanceID": "i-1", "X-Bacalhau-InstallationID": "i-2"}
    answer = (await api.ask("POST", JOBS, {"Job": job}, headers=headers)).json()
    assert 'job meta key "bacalhau.org/x" is reserved and will be ignored' in answer["Warnings"]
    assert "job ID is ignored when submitting a batch job" in answer["Warnings"]
    meta = (await api.get(f"{JOBS}/golden"))["Job"]["Meta"]
    assert (meta["a"], meta["bacalhau.org/client.instance.id"]) == ("b", "i-1")
    assert meta["bacalhau.org/client.installation.id"] == "i-2"
    assert "bacalhau.org/x" not in meta


async def test_the_namespace_of_the_request_is_the_jobs_unless_it_has_its_own(api: Api) -> None:
    await api.put(JOBS, {"Job": plain_job("a"), "Namespace": "ours"})
    await api.put(JOBS, {"Job": plain_job("b", Namespace="mine"), "Namespace": "ours"})
    spaces = {job["Name"]: job["Namespace"] for job in (await api.get(JOBS))["Items"]}
    assert spaces == {"a": "ours", "b": "mine"}
    assert (await api.get(f"{JOBS}/a", namespace="ours"))["Job"]["Name"] == "a"
    assert (await api.ask("GET", f"{JOBS}/a")).status_code == 404
    assert (await api.ask("DELETE", f"{JOBS}/a", {"Namespace": "ours"})).status_code == 200
