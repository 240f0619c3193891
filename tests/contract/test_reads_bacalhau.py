"""Our client and CLI in front of a real Bacalhau: it answers what was recorded, and has neither partitions nor a watch."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from orchestrator.client import ClientError, NodeAnswer, OrchestratorClient
from orchestrator.client_stream import LogQuery, logs
from orchestrator.contract.api import (
    DiffResponse,
    ErrorEnvelope,
    ExecutionList,
    GetJobResponse,
    HistoryList,
    JobList,
    LogFrame,
    LogFrameValue,
    NodeList,
    PutJobResponse,
    RerunResponse,
    ResultList,
    StopJobResponse,
)
from orchestrator.contract.node import BuildVersion, NodeInfo
from orchestrator.contract.partitions import PartitionState
from orchestrator.routes import auth
from tests.helpers.recorded import GOLDEN, MISSING, Recorded
from tui import logfeed
from tui.cli.context import Context
from tui.cli.main import run
from tui.feed import JobView, Snapshot, follow
from tui.model.logtext import LogText

if not GOLDEN.is_dir():
    pytest.skip(MISSING, allow_module_level=True)

JOB = r"/api/v1/orchestrator/jobs/[^/?]+"
KINDS: tuple[tuple[str, str, Any], ...] = (
    ("PUT", r"/api/v1/orchestrator/jobs", PutJobResponse),
    ("PUT", r"/api/v1/orchestrator/jobs/diff", DiffResponse),
    ("PUT", rf"{JOB}/rerun", RerunResponse),
    ("DELETE", JOB, StopJobResponse),
    ("GET", r"/api/v1/orchestrator/jobs", JobList),
    ("GET", JOB, GetJobResponse),
    ("GET", rf"{JOB}/history", HistoryList),
    ("GET", rf"{JOB}/executions", ExecutionList),
    ("GET", rf"{JOB}/versions", JobList),
    ("GET", rf"{JOB}/results", ResultList),
    ("GET", r"/api/v1/orchestrator/nodes", NodeList),
    ("GET", r"/api/v1/orchestrator/nodes/[^/?]+", NodeAnswer),
    ("GET", r"/api/v1/agent/version", BuildVersion),
    ("GET", r"/api/v1/agent/node", NodeInfo),
)
"""What each answer is read as."""
THREE = "j-2e074761-522e-4a5f-81a4-34355e12cc51"
BAD = "j-4272e52d-3374-49fc-b9a9-3802616dec8f"
TEN = "j-041df4fd-9d3b-4e6b-8957-144cd48b8205"
SERVICE = "j-1b3f6256-02bb-430d-9f40-56a284fa1a0a"
DAEMON = "j-91954dd2-6f20-4134-8c6d-f58981bc85bb"
QUEUED = "j-a9db3332-d14e-48d2-aca4-f450914dcd1a"


def answers() -> Iterator[tuple[str, str, int, Any]]:
    for folder in ("cli", "sdk"):
        for path in sorted(GOLDEN.glob(f"{folder}/*.json")):
            for exchange in json.loads(path.read_text())["exchanges"]:
                yield f"{path.stem} {exchange['method']}", exchange["path"], exchange["status"], exchange
    for path in sorted(GOLDEN.glob("http/*.json")):
        recorded = json.loads(path.read_text())
        yield f"{path.stem} {recorded['method']}", recorded["path"], recorded["status"], recorded


def test_every_recorded_answer_is_understood() -> None:
    read = 0
    for name, path, status, exchange in answers():
        for message in (exchange.get("websocket") or {}).get("messages", ()):
            msgspec.json.decode(message["text"], type=LogFrame)
            read += 1
        content = (exchange["response"] or {}).get("json")
        if content is None:
            continue
        kind = next((kind for method, form, kind in KINDS if name.endswith(f" {method}") and fits(form, path)), None)
        if status == 401:
            continue
        if status != 200:
            kind = ErrorEnvelope
        if kind is not None:
            msgspec.convert(content, kind, str_keys=False)
            read += 1
    assert read > 250


def fits(form: str, path: str) -> bool:
    return re.fullmatch(form, path.partition("?")[0]) is not None


@pytest.fixture
def client() -> OrchestratorClient:
    return OrchestratorClient("http://bacalhau:1234", transport=httpx.MockTransport(Recorded()))


async def test_partitions_are_folded_from_executions(client: OrchestratorClient) -> None:
    async with client:
        grid = await client.grid(THREE)
        assert (grid.count, grid.job_state) == (3, "Completed")
        assert list(grid.states) == [PartitionState.COMPLETED] * 3
        assert sorted(grid.node_ids) == ["n1", "n2", "n3"]
        rows = await client.rows(THREE, "1-2 completed")
        assert [(row.index, row.exit_code, row.attempts) for row in rows.items] == [(1, 0, 1), (2, 0, 1)]
        detail = await client.partition(THREE, 0)
        assert [(one.state, one.is_accepted) for one in detail.attempts] == [("completed", True)]
        with pytest.raises(ClientError, match="partition not found: 9"):
            await client.partition(THREE, 9)
        with pytest.raises(ClientError) as refused:
            await client.rows(THREE, "moon")
        assert refused.value.status == 400


async def test_a_failed_job_shows_its_bad_partition_and_what_was_cancelled(client: OrchestratorClient) -> None:
    async with client:
        rows = {row.index: row for row in (await client.rows(BAD, "0-2")).items}
    assert sorted(row.state for row in rows.values()) == ["failed", "stopped", "stopped"]
    failed = next(row for row in rows.values() if row.state == "failed")
    assert failed.attempts == 2
    assert failed.exit_code is None
    assert failed.message


async def test_failures_are_grouped_by_what_bacalhau_says_of_them(client: OrchestratorClient) -> None:
    async with client:
        (group,) = (await client.failures(BAD)).items
        assert (group.cause, group.exit_code, group.count) == ("oom", None, 1)
        assert group.message == "memory limit exceeded"
        assert (group.sample.attempts, str(group.sample.index)) == (2, group.partitions)
        for select in (f"group:{group.group}", "cause:oom", 'err~"memory limit"'):
            assert [row.index for row in (await client.rows(BAD, select)).items] == [group.sample.index]
        assert not (await client.failures(THREE)).items


async def test_why_partitions_wait_is_what_bacalhau_said_of_its_nodes(client: OrchestratorClient) -> None:
    async with client:
        (item,) = (await client.explain(QUEUED)).items
        waiting = [row.index for row in (await client.rows(QUEUED, "waiting,retrying")).items]
        assert item.reason.startswith("not enough nodes to run job. requested: ")
        assert item.count == len(waiting) > 0
        assert [node.node_id for node in item.nodes]
        assert all(node.reason for node in item.nodes)
        (one,) = (await client.explain(QUEUED, str(waiting[0]))).items
        assert (one.count, one.partitions) == (1, str(waiting[0]))
        assert not (await client.explain(THREE)).items
        with pytest.raises(ClientError) as refused:
            await client.explain(QUEUED, "moon")
        assert refused.value.status == 400


async def test_what_never_ran_of_a_failed_job_is_stopped(client: OrchestratorClient) -> None:
    async with client:
        assert set((await client.grid(TEN)).states) == {PartitionState.STOPPED}


@pytest.mark.parametrize(("job", "count"), [(SERVICE, 2), (DAEMON, 3)])
async def test_state_five_and_new_with_desired_running_are_running(
    client: OrchestratorClient, job: str, count: int
) -> None:
    async with client:
        grid = await client.grid(job)
    assert grid.summary.get("Running") == grid.count
    assert grid.count <= count


async def test_an_unknown_job_is_unknown_and_not_an_unknown_route(client: OrchestratorClient) -> None:
    async with client:
        with pytest.raises(ClientError) as refused:
            await client.grid("j-nope")
    assert (refused.value.status, refused.value.is_missing_route) == (404, False)


async def test_a_job_is_followed_by_asking_again(client: OrchestratorClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.client_stream.PERIOD", 0.01)
    view, seen = JobView(), []
    async with client, asyncio.timeout(5), aclosing(follow(client, THREE, view)) as events:
        async for event in events:
            seen.append(event)
            if len(seen) == 2:
                break
    assert isinstance(seen[0], Snapshot)
    assert view.is_terminal


Shoal = Callable[..., tuple[int, str]]


@pytest.fixture
def shoal(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Any) -> Shoal:
    def connect(context: Context, namespace: str = "") -> OrchestratorClient:
        transport = httpx.MockTransport(Recorded())
        return OrchestratorClient(context.settings.url, namespace=namespace, transport=transport)

    monkeypatch.setattr(Context, "client", connect)

    def invoke(*argv: str) -> tuple[int, str]:
        code = run(argv, {"HOME": str(tmp_path)})
        said = capfd.readouterr()
        return int(code), said.out or said.err

    return invoke


def test_the_cli_shows_the_jobs_and_nodes_of_a_bacalhau(shoal: Shoal) -> None:
    assert shoal("job", "list")[0] == 0
    code, text = shoal("job", "describe", THREE)
    assert code == 0
    assert "Completed" in text
    assert shoal("job", "partitions", THREE)[0] == 0
    assert shoal("job", "history", THREE)[0] == 0
    assert shoal("job", "executions", THREE)[0] == 0
    assert "n1" in shoal("node", "list")[1]
    code, text = shoal("job", "wait", THREE)
    assert code == 0
    assert shoal("job", "wait", BAD)[0] == 1
    assert shoal("agent", "config")[0] == 0
    assert shoal("job", "describe", "j-nope")[0] == 3


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("job", "retry", BAD, "--failed"), ("cannot run single partitions again", "shoal job rerun")),
        (("job", "stop", SERVICE, "--select", "0"), ("cannot stop single partitions", "shoal job stop")),
        (("job", "suspend", SERVICE), ("cannot suspend a job", "shoal job stop")),
        (("job", "plan", "job.yaml"), ("cannot tell what submitting a job would do",)),
        (("events",), ("cannot tell what happens in the cluster", "shoal job history")),
        (("node", "drain", "n1"), ("cannot drain nodes",)),
        (("job", "logs", THREE, "--since", "1h"), ("does not tell when a line was written",)),
    ],
)
def test_what_bacalhau_cannot_do_is_one_sentence_and_exit_2(
    shoal: Shoal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...], said: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yaml").write_text(
        "Name: x\nType: batch\nTasks: [{Name: main, Engine: {Type: docker, Params: {Image: a}}}]\n"
    )
    code, text = shoal(*argv)
    assert code == 2
    assert text.startswith("Error: ")
    assert all(words in text for words in said)
    assert len(text.splitlines()) <= 2


def test_the_cli_tells_failures_and_reasons_of_a_bacalhau(shoal: Shoal) -> None:
    code, text = shoal("job", "failures", BAD)
    assert (code, text.splitlines()[0]) == (0, "1 partition: oom: memory limit exceeded")
    code, text = shoal("job", "explain", QUEUED)
    assert code == 0
    assert "not enough nodes to run job" in text.splitlines()[0]
    code, text = shoal("job", "wait", BAD)
    assert "1 partition (" in text
    assert "oom: memory limit exceeded" in text


class Guarded(Recorded):
    """The same, that answers nobody who has not signed its name."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        if request.url.path == "/api/v1/auth/clientkey":
            sent = json.loads(base64.b64decode(json.loads(request.content)["MethodData"]))
            modulus, exponent = auth.public_key(base64.b64decode(sent["PublicKey"]))
            is_good = auth.is_signed(b"orch", base64.b64decode(sent["PhraseSignature"]), modulus, exponent)
            granted = {"success": is_good, "token": "good"}
            return httpx.Response(200, json={"Authentication": granted})
        if request.url.path == "/api/v1/auth" or request.headers.get("authorization") == "Bearer good":
            return super().__call__(request)
        envelope = {"Status": 401, "Message": "Request Unauthorized", "RequestID": "", "Code": "Unauthorized"}
        return httpx.Response(401, json={**envelope, "Component": "Authorizer"})


async def test_a_challenge_is_answered_with_a_key_that_is_kept(tmp_path: Path) -> None:
    key = tmp_path / "home" / "user_id.pem"
    for _ in range(2):
        server = Guarded()
        async with OrchestratorClient("http://b:1", key_file=key, transport=httpx.MockTransport(server)) as client:
            assert (await client.grid(THREE)).count == 3
        assert server.asked.count("POST /api/v1/auth/clientkey") == 1
    assert key.stat().st_mode & 0o077 == 0
    key.write_text("nonsense")
    async with OrchestratorClient("http://b:1", key_file=key, transport=httpx.MockTransport(Guarded())) as client:
        with pytest.raises(ClientError, match=r"user_id\.pem"):
            await client.nodes()


async def test_without_a_key_or_with_a_token_a_401_is_final() -> None:
    async with OrchestratorClient("http://b:1", token="bad", transport=httpx.MockTransport(Guarded())) as client:
        with pytest.raises(ClientError) as refused:
            await client.nodes()
    assert refused.value.status == 401


async def test_logs_are_read_execution_by_execution(
    client: OrchestratorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, str]] = []

    async def frames(
        _client: OrchestratorClient, _job: str, query: dict[str, str]
    ) -> AsyncGenerator[LogFrameValue, None]:
        asked.append(query)
        yield LogFrameValue(type=1, line="out\n")
        yield LogFrameValue(type=2, line="err\n")

    monkeypatch.setattr("orchestrator.client_stream._log_frames", frames)
    async with client:
        await client.grid(THREE)
        lines = [line async for line in logs(client, THREE, LogQuery(partitions="1-2", stream="out"))]
        assert [(line.partition, line.attempt, line.line) for line in lines] == [(1, 1, "out\n"), (2, 1, "out\n")]
        assert all(query["execution_id"].startswith("e-") for query in asked)
        lines = [line async for line in logs(client, THREE, LogQuery(tail=1))]
        assert [(line.partition, line.line) for line in lines] == [(0, "err\n"), (1, "err\n"), (2, "err\n")]
        assert len(asked) == 2 + 3  # each once
        asked.clear()
        lines = [line async for line in logs(client, THREE, LogQuery(tail=1, follow=True, stream="out"))]
        assert sorted((line.partition or 0, line.line) for line in lines) == [(0, "out\n"), (1, "out\n"), (2, "out\n")]
        assert len(asked) == 3
        followed = [line async for line in logs(client, THREE, LogQuery(follow=True, stream="err"))]
        assert sorted(line.partition or 0 for line in followed) == [0, 1, 2]
        with pytest.raises(ClientError, match="when a line was written"):
            await anext(logs(client, THREE, LogQuery(since="10")))
        text = LogText()
        steps = [step async for step in logfeed.read(client, THREE, 1, 1, text)]
    assert (text.count, steps[-1]) == (2, logfeed.CaughtUp())


async def test_following_crosses_to_the_next_attempt_and_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """First partition 1 runs, then its execution has failed and a second one completes."""
    monkeypatch.setattr("orchestrator.client_stream.PERIOD", 0.0)
    server = Recorded()
    path = f"/api/v1/orchestrator/jobs/{THREE}?executions"
    ended = json.loads(server.answers["GET", path][1])
    (last,) = [one for one in ended["Executions"]["Items"] if one.get("PartitionIndex") == 1]
    live = {**last, "ComputeState": {"StateType": 5}, "DesiredState": {"StateType": 1}}
    failed = {**last, "ComputeState": {"StateType": 10, "Message": "memory limit exceeded"}}
    again = {**last, "ID": "e-again", "CreateTime": last["CreateTime"] + 1}
    running = {**ended, "Job": {**ended["Job"], "State": {"StateType": "Running"}}}

    def answer(job: Any, *executions: Any) -> tuple[int, bytes]:
        return 200, json.dumps({**job, "Executions": {"NextToken": "", "Items": executions}}).encode()

    server.answers["GET", path] = answer(running, live)
    asked: list[str] = []

    async def frames(
        _client: OrchestratorClient, _job: str, query: dict[str, str]
    ) -> AsyncGenerator[LogFrameValue, None]:
        asked.append(query["execution_id"])
        yield LogFrameValue(type=1, line=f"{len(asked)}\n")
        server.answers["GET", path] = answer(running, failed) if len(asked) == 1 else answer(ended, failed, again)

    monkeypatch.setattr("orchestrator.client_stream._log_frames", frames)

    def serve(request: httpx.Request) -> httpx.Response:
        found = server(request)
        if len(asked) == 1 and b"memory limit" in server.answers["GET", path][1]:
            server.answers["GET", path] = answer(running, failed, {**again, "ComputeState": {"StateType": 5}})
        return found

    async with OrchestratorClient("http://b:1", transport=httpx.MockTransport(serve)) as client, asyncio.timeout(10):
        await client.grid(THREE)
        lines = [line async for line in logs(client, THREE, LogQuery(partitions="1", follow=True))]
    assert [(line.attempt, line.line) for line in lines] == [(1, "1\n"), (2, "2\n")]
    assert asked == [last["ID"], "e-again"]
