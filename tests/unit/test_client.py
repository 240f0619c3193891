"""The client: typed answers, errors from the envelope, tokens that make repeating safe, recordings of a real Bacalhau."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from orchestrator import client_http
from orchestrator.client import ClientError, OrchestratorClient, UnreachableError
from orchestrator.client_stream import archive, every_job
from orchestrator.contract.api import JobList
from orchestrator.contract.execution import ExecutionState
from orchestrator.contract.job import JobStateType
from tests.helpers.fake_api import JOB_ID, JOBS, FakeApi, archive_of, job_of

RECORDED = Path(__file__).resolve().parent.parent.parent.parent / "shared" / "contract" / "golden" / "http"


def client_of(api: FakeApi, **options: Any) -> OrchestratorClient:
    return OrchestratorClient("http://127.0.0.1:1234", transport=httpx.MockTransport(api), **options)


async def test_an_error_carries_what_the_envelope_says() -> None:
    api = FakeApi()
    problem = {"Path": "Name", "Found": "a/b", "Allowed": "no /", "Hint": ""}
    api.refuse("GET", f"{JOBS}/x", 409, "MultipleJobsFound", "many", Hint="Use full job ID", Problems=[problem])
    async with client_of(api) as client:
        with pytest.raises(ClientError) as refused:
            await client.job("x")
    error = refused.value
    assert (error.status, error.code, error.message, error.hint) == (
        409,
        "MultipleJobsFound",
        "many",
        "Use full job ID",
    )
    assert [one.path for one in error.problems] == ["Name"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx.Response(502, content=b"<html>bad gateway"), "answered 502: <html>bad gateway"),
        (httpx.Response(503, content=b"Server Timeout!"), "answered 503: Server Timeout!"),
        (httpx.Response(200, content=b"hello"), "is not understood"),
        (httpx.Response(200, content=b"{}"), "is not understood"),
    ],
)
async def test_an_answer_that_makes_no_sense_is_an_error_with_a_message(answer: httpx.Response, message: str) -> None:
    api = FakeApi()
    api.on("GET", f"{JOBS}/x", answer)
    async with client_of(api) as client:
        with pytest.raises(ClientError, match=message):
            await client.job("x")


async def test_a_submission_is_repeated_with_the_same_token_when_the_connection_is_lost() -> None:
    api = FakeApi()
    answer = {"JobID": JOB_ID, "EvaluationID": "1", "Warnings": None}
    api.on("PUT", JOBS, httpx.ReadError("reset"), httpx.ConnectError("down"), httpx.RemoteProtocolError("x"), answer)
    async with client_of(api) as client:
        assert (await client.submit(job_of(3, JobStateType.PENDING))).job_id == JOB_ID
        await client.submit(job_of(3, JobStateType.PENDING))
    tokens = [body["IdempotencyToken"] for body in api.sent("PUT")]
    assert len(tokens) == 5
    assert len(set(tokens[:4])) == 1
    assert tokens[4] != tokens[0]
    assert all(tokens)


async def test_nothing_is_repeated_when_nobody_was_there_at_first() -> None:
    api = FakeApi()
    api.on("GET", JOBS, httpx.ConnectError("All connection attempts failed"))
    async with client_of(api) as client:
        with pytest.raises(UnreachableError, match="connection refused"):
            await client.jobs()
    assert len(api.requests) == 1


async def test_who_asks_too_much_asks_again_and_is_told_when_that_does_not_help(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = FakeApi()
    api.refuse("GET", f"{JOBS}/x", 429, "InternalError", "rate limit exceeded")
    refused = httpx.Response(429, json={"Status": 429, "Message": "rate limit exceeded", "Code": "InternalError"})
    api.on("PUT", JOBS, refused, refused, {"JobID": JOB_ID, "EvaluationID": "1", "Warnings": None})
    async with client_of(api) as client:
        assert (await client.submit(job_of(3, JobStateType.PENDING))).job_id == JOB_ID
        monkeypatch.setattr(client_http, "PATIENCE", 0.0)
        with pytest.raises(ClientError, match="rate limit exceeded") as error:
            await client.job("x")
    assert "fewer commands at once" in error.value.hint
    assert len({body["IdempotencyToken"] for body in api.sent("PUT")}) == 1


async def test_a_submission_holds_nothing_that_the_server_sets() -> None:
    api = FakeApi()
    api.on("PUT", JOBS, {"JobID": JOB_ID, "EvaluationID": "1", "Warnings": ["w"]})
    async with client_of(api, instance_id="me", token="t") as client:
        answer = await client.submit(job_of(3, JobStateType.FAILED), force=True)
    assert answer.warnings == ("w",)
    body = api.sent("PUT")[0]
    assert body["Force"] is True
    assert not {"ID", "State", "Version", "Revision", "CreateTime", "ModifyTime"} & set(body["Job"])
    headers = api.requests[0].headers
    assert (headers["X-Bacalhau-InstanceID"], headers["Authorization"]) == ("me", "Bearer t")


async def test_names_are_escaped_and_looked_up_in_the_namespace() -> None:
    api = FakeApi()
    api.refuse("GET", ".*", 404, "NotFound", "no")
    async with client_of(api, namespace="prod") as client:
        with pytest.raises(ClientError):
            await client.job("a b?c", include="history")
    assert api.requests[0].url.raw_path == f"{JOBS}/a%20b%3Fc?namespace=prod&include=history".encode()


async def test_a_user_shows_a_password() -> None:
    async with client_of(FakeApi(), user="ann", token="secret") as client:
        assert client.headers["Authorization"] == "Basic " + base64.b64encode(b"ann:secret").decode()


async def test_all_jobs_are_read_in_pages() -> None:
    api = FakeApi()
    page = JobList(next_token="t", items=(job_of(1, JobStateType.RUNNING),))
    api.on("GET", JOBS, page, msgspec.structs.replace(page, next_token=""))
    async with client_of(api) as client:
        assert len([job async for job in every_job(client)]) == 2
    assert api.requests[1].url.params["next_token"] == "t"


async def test_an_archive_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    api = FakeApi()
    packed = archive_of(3, {"stdout": b"x"})
    api.on("GET", f"{JOBS}/x/results/3.tar.gz", packed)
    api.refuse("GET", f"{JOBS}/x/results/4.tar.gz", 404, "NotFound", "no results")
    async with client_of(api) as client:
        await archive(client, "x", 3, tmp_path / "3")
        with pytest.raises(ClientError, match="no results"):
            await archive(client, "x", 4, tmp_path / "4")
    assert (tmp_path / "3").read_bytes() == packed
    assert os.listdir(tmp_path) == ["3"]  # noqa: PTH208 - not for want of pathlib: in a coroutine it is refused


def recorded(name: str) -> FakeApi:
    """An orchestrator that answers everything with a recording."""
    path = RECORDED / f"{name}.json"
    if not path.exists():
        pytest.skip(f"the recordings of a real Bacalhau are not here: {path.name}")
    recording = json.loads(path.read_text())
    api = FakeApi()
    body = recording["response"]
    content = json.dumps(body["json"]).encode() if "json" in body else body["text"].encode()
    api.on("GET", ".*", httpx.Response(recording["status"], content=content))
    return api


async def test_a_real_bacalhaus_lists_are_read() -> None:
    async with client_of(recorded("list")) as client:
        assert {job.type for job in (await client.jobs()).items} == {"batch"}
    async with client_of(recorded("nodes")) as client:
        nodes = (await client.nodes()).nodes
        assert {node.info.node_id for node in nodes} >= {"n1", "n2", "n3"}
    async with client_of(recorded("job-executions")) as client:
        executions = (await client.executions("golden")).items
        assert executions
        assert all(isinstance(one.compute_state.state_type, ExecutionState) for one in executions)
    async with client_of(recorded("job-history")) as client:
        assert (await client.history("golden")).items
    async with client_of(recorded("job-versions")) as client:
        assert (await client.versions("golden")).items
    async with client_of(recorded("version")) as client:
        assert (await client.version()).git_version == "v1.9.3"
    async with client_of(recorded("node-get")) as client:
        assert (await client.node("n1")).membership == "APPROVED"


async def test_a_real_bacalhaus_refusals_are_told_apart() -> None:
    async with client_of(recorded("unknown-path")) as client:
        with pytest.raises(ClientError) as refused:
            await client.grid("x")
        assert refused.value.is_missing_route
    async with client_of(recorded("job-get-none")) as client:
        with pytest.raises(ClientError) as refused:
            await client.job("x")
        assert not refused.value.is_missing_route
        assert refused.value.status == 404
