"""Every route times every role: let through, or 401 or 403 by the guard, nothing else. Namespaces. What it costs."""

import asyncio
import io
import tarfile
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
from litestar.connection import ASGIConnection
from litestar.handlers import HTTPRouteHandler
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from orchestrator.app import HANDLERS
from orchestrator.auth import Role, hash_of
from orchestrator.client import OrchestratorClient
from orchestrator.client_stream import watch_cluster
from orchestrator.contract.ids import JobId
from orchestrator.contract.job import SpecConfig
from orchestrator.routes.admission import Admission
from orchestrator.tokens import Tokens, create, create_join, join, revoke
from tests.helpers.server import JOBS, Agent, Api, orchestrator, plain_job

JOB = JOBS + "/{job_id:str}"
ROUTES = {
    "open": """
        GET / | GET /version | GET /livez | GET /readyz | GET /schema | GET /api/v1/agent/alive | GET /api/v1/agent/version
        GET /api/v1/agent/authconfig | GET /api/v1/auth | GET /api/v1/auth/{method:str} | POST /api/v1/auth/{method:str}
        """,
    "viewer": """
        GET /api/v1/auth/me | GET /api/v1/agent/node | GET /api/v1/agent/config | GET /api/v1/agent/debug
        GET JOBS | GET JOB | GET JOB/versions | GET JOB/history | GET JOB/executions | GET JOB/results
        GET JOB/results/{file:str} | GET JOB/partitions | GET JOB/partitions/{index:int} | GET JOB/failures | GET JOB/explain
        GET JOB/watch | GET JOB/logs | GET JOB/logs/search
        GET JOB/partitions/{index:int}/inputs
        GET /api/v1/orchestrator/events | GET /api/v1/orchestrator/watch | WS JOB/logs
        GET JOB/partitions/{index:int}/attempts/{attempt:int}/log
        POST /requester/list | POST /requester/states | POST /requester/events | POST /requester/results
        POST /api/v1/requester/list | POST /api/v1/requester/states | POST /api/v1/requester/events
        POST /api/v1/requester/results
        GET /api/v1/orchestrator/nodes | GET /api/v1/orchestrator/nodes/{node_id:str}
        """,
    "operator": """
        PUT JOBS | POST JOBS | DELETE JOB | PUT JOB | PATCH JOB | PUT JOB/rerun | PUT JOB/suspend | PUT JOB/resume
        PUT JOB/partitions/retry | PUT JOB/partitions/stop
        POST /requester/submit | POST /requester/cancel | POST /api/v1/requester/submit | POST /api/v1/requester/cancel
        """,
    "admin": "PUT /api/v1/orchestrator/nodes/{node_id:str}",
    "node": """
        POST /api/v1/agents/{node_id:str}/sync | PUT /api/v1/agents/{node_id:str}/executions/{execution_id:str}/result
        PUT /api/v1/agents/{node_id:str}/executions/{execution_id:str}/logs/{stream:str}
        """,
    "join": "POST /api/v1/agents/{node_id:str}/join",
}
"""Who is let in at least: each route that there is has to be here."""
VALUES = {"job_id": "j-none", "node_id": "n1", "index": "0", "attempt": "1", "method": "clientkey", "stream": "out"}
LADDER = ("viewer", "operator", "admin")
NODE_TOKEN = "shoal_n_of_the_test"


def expected() -> dict[tuple[str, str], str]:
    """The least role of each (method, path)."""
    table = {}
    for role, text in ROUTES.items():
        for line in text.replace("\n", "|").split("|"):
            if line.strip():
                method, path = line.split()
                table[method, path.replace("JOBS", JOBS).replace("JOB", JOB)] = role
    return table


def real() -> set[tuple[str, str]]:
    """The routes of the server."""
    found = set()
    for handler in HANDLERS:
        methods = handler.http_methods - {"OPTIONS"} if isinstance(handler, HTTPRouteHandler) else {"WS"}
        found |= {(str(method), path) for path in handler.paths for method in methods}
    return found


def sent_to(path: str, job_id: str = "j-none") -> str:
    """A path with values in place of its parameters."""
    values = VALUES | {"job_id": job_id}
    parts = [values.get(part[1:].partition(":")[0], "x") if part.startswith("{") else part for part in path.split("/")]
    return "/".join(parts)


async def status_of(http: httpx.AsyncClient, method: str, path: str, token: str) -> tuple[int, Any]:
    """How a request is answered, and the envelope where it is an error."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if method == "WS":
        url = f"{str(http.base_url).rstrip('/')}{path}".replace("http", "ws", 1)
        try:
            async with connect(url, additional_headers=headers):
                return 200, {}
        except InvalidStatus as refused:
            return refused.response.status_code, msgspec.json.decode(bytes(refused.response.body or b"{}"))
    async with http.stream(method, path, headers=headers, json=None if method == "GET" else {}) as answer:
        is_error = answer.status_code >= 400
        if is_error:
            await answer.aread()
        return answer.status_code, answer.json() if is_error else {}


@pytest.fixture
async def tokens(tmp_path: Path) -> dict[str, str]:
    """A token of each kind, in the data directory of the test's orchestrator."""
    made = {role: create(tmp_path, role, Role(role), (), 0)[0] for role in LADDER}
    made["join"] = create_join(tmp_path, 600, -1)[0]
    join(tmp_path, hash_of(made["join"]), "n1", hash_of(NODE_TOKEN))
    return made | {"node": NODE_TOKEN, "nobody": "", "stranger": "shoal_u_" + "x" * 32}


@pytest.fixture
async def admin(http: httpx.AsyncClient, tokens: dict[str, str]) -> AsyncIterator[Api]:
    """Requests of an admin."""
    api = Api(str(http.base_url).rstrip("/"))
    api.http.headers["Authorization"] = f"Bearer {tokens['admin']}"
    async with api.http:
        yield api


@pytest.fixture
async def node(http: httpx.AsyncClient) -> AsyncIterator[Agent]:
    """The node n1."""
    api = Api(str(http.base_url).rstrip("/"))
    api.http.headers["Authorization"] = f"Bearer {NODE_TOKEN}"
    async with api.http:
        yield Agent(api)


@pytest.fixture
async def http(tmp_path: Path, tokens: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    assert tokens
    async with orchestrator(tmp_path) as url, httpx.AsyncClient(base_url=url, timeout=10) as client:
        yield client


def test_every_route_says_who_is_let_in() -> None:
    assert real() == set(expected())


async def test_every_route_times_every_role(http: httpx.AsyncClient, tokens: dict[str, str]) -> None:
    wrong = []
    for (method, path), least in expected().items():
        for who, token in tokens.items():
            status, error = await status_of(http, method, sent_to(path), token)
            verdict = status if error.get("Component") == "Authorizer" and status in (401, 403) else "through"
            if verdict != wanted(least, who) or (status >= 500 and verdict == "through"):
                wrong.append((method, path, who, status, error))
            if verdict == 403 and least in LADDER:
                assert error["Details"]["role"] == least
    assert not wrong


def wanted(least: str, who: str) -> int | str:
    """How a route answers."""
    if least == "open":
        return "through"
    if who in ("nobody", "stranger") or (who, least) == ("join", "node"):
        return 401
    if least in LADDER:
        return "through" if who in LADDER and LADDER.index(who) >= LADDER.index(least) else 403
    return "through" if who == least else 403


async def test_a_refusal_is_bacalhaus_envelope(http: httpx.AsyncClient, tokens: dict[str, str]) -> None:
    answer = await http.get(JOBS, headers={"X-Request-ID": "r1"})
    assert answer.json() == {
        "Status": 401,
        "Message": "Request Unauthorized",
        "RequestID": "r1",
        "Code": "Unauthorized",
        "Component": "Authorizer",
        "Hint": "Unauthorized principal. Event has been recorded.",
        "Details": {"reason": "Missing Authorization header"},
    }
    answer = await http.put(JOBS, json={}, headers={"Authorization": f"Bearer {tokens['viewer']}"})
    assert answer.status_code == 403
    assert answer.json() | {"Details": {}} == {
        "Status": 403,
        "Message": "Request Forbidden",
        "RequestID": "",
        "Code": "Forbidden",
        "Component": "Authorizer",
        "Hint": "Check if user have access to this resource. Event has been recorded.",
        "Details": {},
    }


async def test_with_tokens_there_is_no_other_method(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/v1/auth")).json() == {"NextToken": "", "Methods": {}}
    assert (await http.post("/api/v1/auth/clientkey", json={})).status_code == 404


async def test_me(http: httpx.AsyncClient, tokens: dict[str, str], tmp_path: Path) -> None:
    create(tmp_path, "team", Role.OPERATOR, ("a", "b"), 0)
    said = (await http.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {tokens['viewer']}"})).json()
    assert (said["Name"], said["Roles"], said["Namespaces"]) == ("viewer", ["viewer"], ["*"])
    assert set(said) == {"Name", "Roles", "Namespaces", "Time", "Version"}


async def test_without_tokens_everybody_is_admin(tmp_path: Path) -> None:
    async with orchestrator(tmp_path / "open") as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/api/v1/auth/me")).json()["Roles"] == ["admin"]
        stray = {"Authorization": "Bearer of-the-challenge"}
        assert (await client.get(JOBS, headers=stray)).status_code == 200
        assert (await client.get("/api/v1/auth")).json()["Methods"]


async def test_the_address_of_a_result_is_all_that_it_takes_to_fetch_it(
    http: httpx.AsyncClient, admin: Api, node: Agent
) -> None:
    api, agent = admin, node
    other = await api.submit("other", count=1)
    job_id = await api.submit("kept", count=1, Publisher={"Type": "orchestrator"})
    await agent.sync()
    await agent.sync()
    executions = {one.job_id: key for key, one in agent.assigned.items()}
    content = (await asyncio.to_thread(archive)).getvalue()
    stored = await agent.put_result(executions[JobId(job_id)], content)
    assert stored.status_code == 200, stored.text
    where = stored.json()
    published = SpecConfig(type=where["Type"], params=where["Params"])
    agent.assigned = {key: one for key, one in agent.assigned.items() if one.job_id == job_id}
    agent.end(0, published=published)
    await agent.sync()
    (item,) = (await api.until(f"{JOBS}/{job_id}/results", lambda found: found["Items"]))["Items"]
    url = item["Params"]["URL"]
    assert (await http.get(url)).content == content
    assert (await http.get(url.partition("?")[0])).status_code == 401
    assert (await http.get(url[:-1] + ("0" if url[-1] != "0" else "1"))).status_code == 401
    assert (await http.get(url.replace(job_id, other))).status_code == 401
    key = url.partition("?")[2]
    assert (await http.get(f"{JOBS}/{job_id}?{key}")).status_code == 401


def archive() -> io.BytesIO:
    """A tar.gz of one file."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("partition-0/x"), io.BytesIO())
    return made


async def test_tokens_change_under_a_running_server(http: httpx.AsyncClient, tmp_path: Path) -> None:
    secret, _ = create(tmp_path, "fresh", Role.VIEWER, (), 0)
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await http.get(JOBS, headers=headers)).status_code == 200
    revoke(tmp_path, "fresh")
    assert (await http.get(JOBS, headers=headers)).status_code == 401


async def test_a_token_reaches_the_jobs_of_its_namespaces_only(
    http: httpx.AsyncClient, admin: Api, tmp_path: Path
) -> None:
    api = admin
    team, _ = create(tmp_path, "team", Role.OPERATOR, ("a", "b"), 0)
    ids = {}
    for namespace in ("a", "b", "c", "default"):
        ids[namespace] = await api.submit("same", Namespace=namespace)
    mine = {"Authorization": f"Bearer {team}"}
    for query, seen in (("", ["a", "b"]), ("?namespace=*", ["a", "b"]), ("?namespace=b", ["b"]), ("?limit=1", ["a"])):
        answer = (await http.get(JOBS + query, headers=mine)).json()
        assert [job["Namespace"] for job in answer["Items"]] == seen, query
    token = (await http.get(JOBS + "?limit=1", headers=mine)).json()["NextToken"]
    rest = (await http.get(f"{JOBS}?next_token={token}", headers=mine)).json()
    assert ([job["Namespace"] for job in rest["Items"]], rest["NextToken"]) == (["b"], "")
    assert (await http.get(JOBS + "?namespace=c", headers=mine)).status_code == 403
    found = (await http.get(f"{JOBS}/same?namespace=b", headers=mine)).json()
    assert found["Job"]["ID"] == ids["b"]
    assert (await http.get(f"{JOBS}/same", headers=mine)).json()["Job"]["ID"] == ids["a"]
    wrong = []
    for method, path in expected():
        if path.startswith(JOB):
            for job, namespace in ((ids["c"], ""), (ids["c"][:11], ""), ("same", "?namespace=c")):
                status, error = await status_of(http, method, sent_to(path, job) + namespace, team)
                if (status, error.get("Component")) != (403, "Authorizer"):
                    wrong.append((method, path, job, status, error))
            if method == "GET":
                status, error = await status_of(http, method, sent_to(path, ids["a"]), team)
                if error.get("Component") == "Authorizer":
                    wrong.append((method, path, ids["a"], status, error))
    assert not wrong
    for namespace, status in (("a", 200), ("c", 403), ("", 403)):
        body = {"Job": plain_job(f"new-{namespace}", Namespace=namespace)}
        assert (await http.put(JOBS, json=body, headers=mine)).status_code == status
        assert (await http.put(f"{JOBS}/diff", json=body, headers=mine)).status_code in (status, 404)
    answer = await http.request("DELETE", f"{JOBS}/same", json={"Namespace": "c"}, headers=mine)
    assert answer.status_code == 200
    assert (await api.get(f"{JOBS}/{ids['c']}"))["Job"]["State"]["StateType"] != "Stopped", (
        "the body leads nowhere else"
    )


async def test_the_watch_tells_a_token_of_the_jobs_of_its_namespaces_only(
    http: httpx.AsyncClient, admin: Api, node: Agent, tmp_path: Path
) -> None:
    team, _ = create(tmp_path, "team", Role.VIEWER, ("a", "b"), 0)
    ids = {namespace: await admin.submit("same", Namespace=namespace) for namespace in ("a", "b", "c")}
    client = OrchestratorClient(str(http.base_url).rstrip("/"), token=team)
    async with client.http, aclosing(watch_cluster(client)) as frames:
        first = await anext(frames)
        assert {job.job_id for job in first.jobs} == {ids["a"], ids["b"]}
        await node.sync()
        for namespace in ("c", "a", "b"):
            ids[f"new-{namespace}"] = await admin.submit("new", Namespace=namespace)
        told: set[str] = set()
        async for frame in frames:
            told |= {str(job.job_id) for job in frame.jobs}
            if {ids["new-a"], ids["new-b"]} <= told:
                break
    assert not told & {ids["c"], ids["new-c"]}
    refused = await status_of(http, "GET", "/api/v1/orchestrator/watch?namespace=c", team)
    assert (refused[0], refused[1]["Component"]) == (403, "Authorizer")


async def test_events_tell_a_token_of_the_jobs_of_its_namespaces_only(
    http: httpx.AsyncClient, admin: Api, node: Agent, tmp_path: Path
) -> None:
    team, _ = create(tmp_path, "team", Role.VIEWER, ("a", "b"), 0)
    client = OrchestratorClient(str(http.base_url).rstrip("/"), token=team)
    async with client.http:
        await admin.submit("first", Namespace="c")
        await node.sync()
        nothing = await client.events()
        assert nothing.items == ()
        ids = {namespace: await admin.submit("same", Namespace=namespace) for namespace in ("a", "b", "c")}
        told = await client.events(after=nothing.cursor)
        assert {event.job_id for event in told.items} == {ids["a"], ids["b"]}
        assert {event.job_id for event in (await client.events(limit=2)).items} <= {ids["a"], ids["b"]}
        behind = await client.events(after=told.cursor)
        await admin.submit("last", Namespace="c")
        later = await client.events(after=behind.cursor)
        assert later.items == ()
        assert later.cursor > behind.cursor, "what others do is not read again with the next question"
        assert ids["c"] not in later.cursor
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            waiting = group.create_task(client.events(after=later.cursor, wait=30))
            await admin.submit("more", Namespace="c")
            mine = await admin.submit("more", Namespace="b")
        assert {event.job_id for event in waiting.result().items} == {mine}


async def test_a_request_costs_less_than_50_microseconds_more(tmp_path: Path) -> None:
    closed, opened = tmp_path / "closed", tmp_path / "open"
    secret, _ = create(closed, "viewer", Role.VIEWER, (), 0)
    rounds = 2000

    async def seconds(directory: Path) -> float:
        backend: Any = SimpleNamespace(tokens=Tokens(directory))
        admission = Admission(backend)
        begin = time.process_time()
        for _ in range(rounds):
            scope: Any = {
                "type": "http",
                "method": "GET",
                "path": JOBS,
                "path_template": JOBS,
                "path_params": {},
                "headers": [(b"authorization", f"Bearer {secret}".encode())],
                "query_string": b"",
            }
            connection: ASGIConnection[Any, Any, Any, Any] = ASGIConnection(scope)
            assert connection.headers  # read for every request, tokens or not
            await admission.admit(connection)
        return (time.process_time() - begin) / rounds

    more = min([await seconds(closed) for _ in range(5)]) - min([await seconds(opened) for _ in range(5)])
    assert more < 50e-6, f"{more * 1e6:.1f} µs"


async def test_a_node_that_is_deleted_needs_another_token(admin: Api, node: Agent) -> None:
    await node.sync()
    assert (await admin.put("/api/v1/orchestrator/nodes/n1", {"Action": "delete"}))["Success"]
    refused = await node.sync_raw()
    assert (refused.status_code, refused.json()["Details"]["reason"]) == (401, "invalid API key")
