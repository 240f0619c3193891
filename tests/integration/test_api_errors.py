"""The edges of the API: headers, envelopes, bodies that are none, clients that are too old, sign-in."""

import asyncio
import base64
import hashlib
import random
import re
import threading
from typing import Any

import msgspec
import pytest
from litestar.handlers import HTTPRouteHandler

from orchestrator.app import HANDLERS
from orchestrator.contract.decode import Decoded, decode_job
from orchestrator.routes import jobs
from orchestrator.routes.auth import SHA256_PREFIX
from tests.helpers.server import JOBS, Agent, Api, plain_job


async def test_every_answer_has_the_servers_headers(api: Api) -> None:
    for path in ("/api/v1/agent/alive", "/nope", f"{JOBS}/none"):
        answer = await api.ask("GET", path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-bacalhau-git-version"] == "v1.9.3"
        assert answer.headers["vary"] == "Origin"
        assert len(answer.headers["x-request-id"]) == 32
    echoed = await api.ask("GET", "/nope", headers={"X-Request-ID": "mine"})
    assert (echoed.headers["x-request-id"], echoed.json()["RequestID"]) == ("mine", "mine")


async def test_unknown_routes_and_methods_are_told_from_unknown_jobs(api: Api) -> None:
    unknown = (await api.ask("GET", "/api/v1/nope")).json()
    assert (unknown["Status"], unknown["Code"], unknown["Component"]) == (404, "NotFound", "APIServer")
    wrong = await api.ask("PATCH", JOBS)
    assert (wrong.status_code, wrong.json()["Message"]) == (405, "Method Not Allowed")
    for path in ("executions", "history", "versions", "results", "partitions", "failures", "explain", "watch"):
        answer = await api.ask("GET", f"{JOBS}/none/{path}")
        assert (answer.status_code, answer.json()["Component"]) == (404, "JobStore"), path
    slashed = {
        f"{JOBS}/a%2Fb": "job not found: a/b",
        f"{JOBS}/a%2fb%2Fc/history": "job not found: a/b/c",
        "/api/v1/orchestrator/nodes/a%2Fb": "node not found: a/b",
    }
    for path, said in slashed.items():
        answer = await api.ask("GET", path)
        assert (answer.status_code, answer.json()["Message"]) == (404, said)
        assert answer.json()["Component"] != "APIServer"
    for path in ("partitions/retry", "partitions/stop"):
        assert (await api.ask("PUT", f"{JOBS}/none/{path}", {"Select": "all"})).status_code == 404


async def test_every_path_says_which_methods_it_has(api: Api) -> None:
    methods: dict[str, set[str]] = {}
    for handler in HANDLERS:
        if isinstance(handler, HTTPRouteHandler):
            for template in handler.paths:
                path = re.sub(r"{\w+:(\w+)}", lambda part: "1" if part[1] == "int" else "x", template)
                methods.setdefault(path, {"OPTIONS"}).update(handler.http_methods)
    assert methods[JOBS] == {"GET", "OPTIONS", "POST", "PUT"}
    methods[f"{JOBS}/diff"] = methods[f"{JOBS}/x"]
    methods[f"{JOBS}/x"] = methods[f"{JOBS}/x"] - {"PUT"}
    for path, known in methods.items():
        allowed = await api.ask("OPTIONS", path)
        assert (allowed.status_code, allowed.headers["allow"]) == (204, ", ".join(sorted(known))), path
        for verb in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - known:
            wrong = await api.ask(verb, path)
            assert (wrong.status_code, wrong.headers["allow"]) == (405, ", ".join(sorted(known))), (verb, path)
            if verb != "HEAD":
                assert (wrong.json()["Message"], wrong.json()["Code"]) == ("Method Not Allowed", "InternalError")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"null", 400),
        (b"3", 400),
        (b'"text"', 400),
        (b"[]", 400),
        (b"\xff\xfe", 400),
        (b'{"Job": {"Name": "\xff"}}', 400),
        (b'{"Job": {"Name": "a\\u0000b", "Type": "batch"}}', 400),
        (b'{"Job": {"Count": 99999999999999999999}}', 400),
        (b'{"Job": {"Count": NaN}}', 400),
        (b'{"Job": ' + b"[" * 100_000, 400),
        (b'{"Job": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001, 400),
        (b'{"Job": 3, "Force": "perhaps"}', 400),
        (b'{"Job": {"Tasks": [3, null, {"Engine": 4}]}}', 400),
        (b"{" + b" " * 10_000_001 + b"}", 413),
    ],
)
async def test_a_body_that_is_no_job_is_refused_in_the_envelope(api: Api, body: bytes, status: int) -> None:
    answer = await api.ask("PUT", JOBS, body)
    envelope = answer.json()
    assert (answer.status_code, envelope["Status"]) == (status, status)
    assert envelope["Component"] == "APIServer"
    assert envelope["Message"]
    assert "Traceback" not in answer.text
    assert (await api.get(JOBS))["Items"] == []


async def test_every_problem_of_a_job_is_named(api: Api) -> None:
    job = plain_job("x", Colour="red", Count=-1)
    job["Tasks"][0]["Engine"]["Type"] = "dokker"
    answer = (await api.ask("PUT", JOBS, {"Job": job})).json()
    paths = {problem["Path"]: problem for problem in answer["Problems"]}
    assert {"Colour", "Count", "Tasks[0].Engine.Type"} <= paths.keys()
    assert "docker" in paths["Tasks[0].Engine.Type"]["Hint"]
    assert len(answer["Message"].splitlines()) == len(answer["Problems"])


async def test_queries_that_are_wrong_are_refused_and_unknown_ones_ignored(api: Api) -> None:
    await api.submit()
    for path in (
        f"{JOBS}?limit=x",
        f"{JOBS}?reverse=perhaps",
        f"{JOBS}?labels=a+b",
        f"{JOBS}?next_token=%25",
        f"{JOBS}/golden/history?since=-1",
        f"{JOBS}/golden/history?event_type=moon",
        f"{JOBS}/golden/history?next_token=zzz",
        f"{JOBS}/golden/executions?limit=-3",
        f"{JOBS}/golden/partitions?select=all&next_token=zzz",
        f"{JOBS}/golden/partitions?select=all&limit=99999999",
        "/api/v1/orchestrator/nodes?order_by=moon",
    ):
        answer = await api.ask("GET", path)
        assert (answer.status_code, answer.json()["Status"]) == (400, 400), path
    unordered = (await api.ask("GET", "/api/v1/orchestrator/nodes?order_by=moon")).json()
    assert (unordered["Message"], unordered["Hint"][:35]) == ("invalid order_by", "order_by: found 'moon', allowed: id")
    early = (await api.ask("GET", f"{JOBS}/golden/history?since=-1")).json()
    assert early["Message"] == "since: found number -1, allowed: a whole number from 0 to 9000000000"
    assert (await api.ask("GET", f"{JOBS}/golden?node_id=&filter_approval=&limit=&Include=")).status_code == 200
    assert (await api.ask("GET", f"{JOBS}/golden/partitions/-1")).status_code == 404
    assert (await api.ask("GET", f"{JOBS}/golden/partitions/x")).status_code == 404


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("", 200),
        ("v0.0.0-xxxxxxx", 200),
        ("v0.0.0", 200),
        ("v1.4.0", 200),
        ("v9.1.2-rc1", 200),
        ("v1.3.9", 403),
        ("x", 400),
    ],
)
async def test_clients_that_are_too_old_are_sent_away(api: Api, version: str, status: int) -> None:
    answer = await api.ask("GET", JOBS, headers={"X-Bacalhau-Git-Version": version} if version else {})
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["MinVersion"] == "1.4.0"
    if status == 400:
        assert answer.json() == {"Error": "Invalid client version x"}


async def test_long_answers_are_packed_and_pretty_ones_indented(api: Api) -> None:
    await api.submit(count=20_000)
    packed = await api.ask("GET", f"{JOBS}/golden/partitions", headers={"Accept-Encoding": "gzip"})
    plain = await api.ask("GET", f"{JOBS}/golden/partitions", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()
    pretty = await api.ask("GET", f"{JOBS}/golden?pretty")
    assert pretty.text.startswith('{\n  "Job": {\n    "ID"')


async def test_probes_redirects_and_schema(api: Api) -> None:
    for path in ("/livez", "/readyz", "/api/v1/agent/alive"):
        assert await api.get(path) == {"Status": "OK"}
    for path in ("/", "/version"):
        moved = await api.ask("GET", path)
        assert (moved.status_code, moved.headers["location"]) == (301, "/api/v1/agent/version")
    schema = await api.get("/schema")
    grid = schema["paths"][f"{JOBS}/{{job_id}}/partitions"]["get"]
    assert {one["name"]: one["in"] for one in grid["parameters"]} == {
        "job_id": "path", "namespace": "query", "select": "query", "limit": "query", "next_token": "query",
        "fields": "query",
    }  # fmt: skip
    for reference in re.findall(r'"\$ref":"#/components/schemas/(\w+)"', msgspec.json.encode(schema).decode()):
        assert reference in schema["components"]["schemas"]
    assert not [path for path in schema["paths"] if path.startswith("/api/v1/agents")]
    assert (await api.get("/api/v1/agent/node"))["NodeType"] == "Requester"


async def test_nodes_are_listed_filtered_and_found(api: Api) -> None:
    for name in ("n1", "n10", "m2"):
        await Agent(api, name, cpu=len(name)).sync()
    path = "/api/v1/orchestrator/nodes"
    listed = await api.get(path)
    assert listed["Nodes"] == listed["nodes"]
    assert len(listed["Nodes"]) == 4
    assert {node["Info"]["NodeType"] for node in listed["Nodes"]} == {"Compute", "Requester"}

    async def names(**query: Any) -> list[str]:
        return [node["Info"]["NodeID"] for node in (await api.get(path, **query))["Nodes"]]

    assert await names(labels="name in (n1,m2)") == ["m2", "n1"]
    assert await names(order_by="available_cpu", limit=1) == ["n10"]
    assert await names(**{"filter-status": "disconnected"}) == []
    assert await names(filter_approval="rejected") == []
    found = await api.get(f"{path}/n1")
    assert found["Node"] == found["node"]
    assert found["Node"]["Info"]["NodeID"] == "n1"
    assert (await api.get(f"{path}/m"))["Node"]["Info"]["NodeID"] == "m2"
    many = await api.ask("GET", f"{path}/n1")
    assert many.status_code == 200, "an exact name wins over names that begin so"
    unknown = await api.ask("GET", f"{path}/zz")
    assert (unknown.status_code, unknown.json()["Component"]) == (404, "NodesManager")
    several = await api.ask("GET", f"{path}/n")
    assert (several.status_code, several.json()["Code"]) == (409, "MultipleNodesFound")


def a_key() -> tuple[int, int, int]:
    """Modulus, exponent and private exponent of an RSA key of 1024 bits."""
    source = random.Random(7)

    def prime() -> int:
        while True:
            number = source.getrandbits(512) | (1 << 511) | (1 << 510) | 1
            if all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7)) and number % 65_537 != 1:
                return number

    first, second = prime(), prime()
    return first * second, 65_537, pow(65_537, -1, (first - 1) * (second - 1))


def der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


async def test_a_signed_phrase_gives_a_token_and_nothing_else_does(api: Api) -> None:
    methods = (await api.get("/api/v1/auth"))["Methods"]
    assert methods["clientkey"]["type"] == "challenge"
    assert await api.get("/api/v1/auth/clientkey") == methods["clientkey"]
    phrase = base64.b64decode(methods["clientkey"]["params"]["InputPhrase"])
    modulus, exponent, private = a_key()
    size = (modulus.bit_length() + 7) // 8
    numbers = [der(2, b"\0" + modulus.to_bytes(size, "big")), der(2, exponent.to_bytes(3, "big"))]
    public = der(0x30, b"".join(numbers))

    def signed(text: bytes) -> bytes:
        digest = SHA256_PREFIX + hashlib.sha256(text).digest()
        padded = b"\0\1" + b"\xff" * (size - len(digest) - 3) + b"\0" + digest
        return pow(int.from_bytes(padded, "big"), private, modulus).to_bytes(size, "big")

    async def sign_in(signature: bytes, key: bytes) -> tuple[int, Any]:
        pair = {"PhraseSignature": base64.b64encode(signature), "PublicKey": base64.b64encode(key)}
        body = {
            "Name": "clientkey",
            "MethodData": base64.b64encode(
                msgspec.json.encode({name: value.decode() for name, value in pair.items()})
            ).decode(),
        }
        answer = await api.ask("POST", "/api/v1/auth/clientkey", body)
        return answer.status_code, answer.json()["Authentication"]

    status, given = await sign_in(signed(phrase), public)
    assert (status, given["success"]) == (200, True)
    assert given["token"]
    for signature, key, reason in (
        (signed(b"another"), public, "verification error"),
        (b"", public, "verification error"),
        (signed(phrase), public[:-1], "public key"),
        (signed(phrase), b"", "public key"),
        (signed(phrase), der(0x30, numbers[0]), "public key"),
        (signed(phrase), der(0x30, der(2, b"\0") + der(2, b"\1")), "public key"),
    ):
        status, given = await sign_in(signature, key)
        assert (status, given["success"], reason in given["reason"]) == (401, False, True), given
    assert (await api.ask("POST", "/api/v1/auth/clientkey", {})).status_code == 400
    assert (await api.ask("POST", "/api/v1/auth/other", {})).json()["Component"] == "APIServer"


@pytest.mark.parametrize("size", [0, 20_000])
async def test_while_a_large_body_is_decoded_others_are_answered(
    api: Api, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    others = threading.Event()

    def decode_late(raw: object) -> Decoded:
        assert others.wait(30 if size else 0) is bool(size), "a small one is not worth a thread"
        return decode_job(raw)

    monkeypatch.setattr(jobs, "decode_job", decode_late)
    job = plain_job("large")
    job["Meta"] = {"large": "x" * size}
    submission = asyncio.create_task(api.ask("PUT", JOBS, {"Job": job}))
    for _ in range(10):
        assert (await api.ask("GET", "/api/v1/agent/alive")).status_code == 200
    others.set()
    assert (await submission).status_code == 200
