"""What programs for Bacalhau 1.3 and before ask: who signed it, whose jobs they reach, and what they are refused."""

import asyncio
import base64
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from orchestrator.auth import Role
from orchestrator.contract.job import SpecConfig
from orchestrator.routes import legacy, listing
from orchestrator.tokens import create
from tests.helpers.server import JOBS, Agent, Api, orchestrator

DOCKER = {"engine": "Docker", "docker": {"image": "busybox"}}
PROCESS = {"EngineSpec": {"Type": "process", "Params": {"Command": "true"}}, "resources": {"cpu": "1", "memory": "1mb"}}


class Client:
    """A program of that time, with a key of its own."""

    def __init__(self, http: httpx.AsyncClient, prefix: str = "/requester") -> None:
        self.http = http
        self.prefix = prefix
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.Encoding.DER, serialization.PublicFormat.PKCS1
        self.public = base64.b64encode(self.key.public_key().public_bytes(*form)).decode()
        self.id = hashlib.sha256(self.key.public_key().public_numbers().n.to_bytes(256, "big")).hexdigest()

    def signed(self, payload: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(payload).encode()
        signature = base64.b64encode(self.key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()
        return {"client_public_key": self.public, "payload": payload, "signature": signature}

    async def post(self, verb: str, body: dict[str, Any], token: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return await self.http.post(
            f"{self.prefix}/{verb}", json=None, content=json.dumps(body), headers=headers | KIND
        )

    async def submit(self, spec: dict[str, Any], token: str = "") -> httpx.Response:
        payload = {"apiversion": "V1beta1", "clientid": self.id, "spec": spec}
        return await self.post("submit", self.signed(payload), token)

    async def submitted(self, spec: dict[str, Any], token: str = "") -> str:
        answer = await self.submit(spec, token)
        assert answer.status_code == 200, answer.text
        job_id: str = answer.json()["job"]["Metadata"]["ID"]
        return job_id

    async def cancel(self, job_id: str, token: str = "") -> httpx.Response:
        return await self.post("cancel", self.signed({"ClientID": self.id, "JobID": job_id, "Reason": "enough"}), token)

    async def ask(self, verb: str, **body: Any) -> Any:
        answer = await self.post(verb, body)
        assert answer.status_code == 200, answer.text
        return answer.json()


KIND = {"Content-Type": "application/json"}


@pytest.fixture
def client(api: Api) -> Client:
    return Client(api.http)


@pytest.mark.parametrize("prefix", ["/requester", "/api/v1/requester"])
async def test_a_job_from_its_submission_to_its_end(api: Api, prefix: str) -> None:
    client = Client(api.http, prefix)
    answer = await client.submit(PROCESS | {"deal": {"concurrency": 2}, "annotations": ["night"]})
    job = answer.json()["job"]
    assert (job["Metadata"]["ClientID"], job["Spec"]["Deal"]) == (client.id, {"Concurrency": 2})
    job_id = job["Metadata"]["ID"]
    agent = Agent(api)
    await agent.sync()
    await agent.sync()
    running = (await client.ask("states", client_id=client.id, job_id=job_id))["state"]
    assert (running["State"], [one["NodeId"] for one in running["Executions"]]) == ("InProgress", ["n1", "n1"])
    agent.end(0)
    agent.end(1)
    await agent.sync()
    ended = (await client.ask("states", client_id=client.id, job_id=job_id))["state"]
    assert (ended["State"], {one["State"] for one in ended["Executions"]}) == ("Completed", {"Completed"})
    assert (await client.ask("results", client_id=client.id, job_id=job_id)) == {"results": []}, "nothing was published"


async def test_events_are_filtered_and_tell_the_end_of_a_stopped_job(client: Client) -> None:
    job_id = await client.submitted(PROCESS)
    assert (await client.cancel(job_id)).json()["state"]["State"] == "Cancelled"
    told = (await client.ask("events", job_id=job_id))["events"]
    assert [one["JobState"] for one in told if "JobState" in one] == [
        {"Previous": "New", "New": "New"},
        {"Previous": "New", "New": "Cancelled"},
    ]
    assert (await client.ask("events", job_id=job_id, filters={"exclude_job_level": True})) == {"events": []}
    later = {"filters": {"since": 4_000_000_000}}
    assert (await client.ask("events", job_id=job_id, **later)) == {"events": []}
    again = await client.cancel(job_id)
    assert again.status_code < 500


async def test_a_list_is_of_the_clients_own_jobs_unless_all_are_wanted(client: Client, api: Api) -> None:
    other = Client(api.http)
    mine = [await client.submitted(PROCESS | {"annotations": [tag]}) for tag in ("a", "b")]
    foreign = await other.submitted(PROCESS)

    async def listed(**asked: Any) -> list[str]:
        return [one["Job"]["Metadata"]["ID"] for one in (await client.ask("list", **asked))["jobs"]]

    assert await listed(client_id=client.id) == mine
    assert await listed(client_id=client.id, sort_by="created_at", sort_reverse=True, max_jobs=1) == [mine[1]]
    assert await listed(client_id=client.id, return_all=True) == [*mine, foreign]
    assert await listed(client_id=client.id, include_tags=["b"]) == [mine[1]]
    assert await listed(client_id=client.id, exclude_tags=["b"]) == [mine[0]]
    (one,) = (await client.ask("list", id=foreign[:10]))["jobs"]
    assert (one["State"]["State"], one["History"][0]["Comment"]) == ("Queued", "Job submitted")
    answer = await client.post("list", {"sort_by": "name"})
    assert (answer.status_code, answer.json()["Message"]) == (400, "sort_by: found 'name', allowed: created_at")


async def test_what_is_long_is_answered_in_pages(client: Client, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (listing, legacy):
        monkeypatch.setattr(module, "SLICE", 2)
    program = {"Command": "echo", "Arguments": ["a<b", "[]"]}
    job_id = await client.submitted(
        PROCESS | {"deal": {"concurrency": 5}, "EngineSpec": {"Type": "process", "Params": program}}
    )
    agent = Agent(api)
    await agent.sync()
    await agent.sync()
    begun = sorted(agent.assigned)
    assert len(begun) == 5
    for verb in ("states", "list", "cancel"):
        if verb == "cancel":
            state = (await client.cancel(job_id)).json()["state"]
        elif verb == "list":
            (one,) = (await client.ask("list", id=job_id))["jobs"]
            state = one["State"]
            assert one["Job"]["Spec"]["EngineSpec"]["Params"]["Arguments"] == program["Arguments"]
            assert one["History"]
        else:
            state = (await client.ask("states", job_id=job_id))["state"]
        assert (state["JobID"], sorted(one["ComputeReference"] for one in state["Executions"])) == (job_id, begun)
    others = [await client.submitted(PROCESS) for _ in range(4)]
    for asked, found in (({}, [job_id, *others]), ({"max_jobs": 3}, [job_id, *others[:2]])):
        jobs = (await client.ask("list", client_id=client.id, **asked))["jobs"]
        assert [one["Job"]["Metadata"]["ID"] for one in jobs] == found


async def test_only_what_was_signed_is_done(client: Client, api: Api) -> None:
    whole = client.signed({"clientid": client.id, "spec": PROCESS})
    changed = whole | {"payload": {"clientid": client.id, "spec": DOCKER}}
    foreign = Client(api.http).signed({"clientid": client.id, "spec": PROCESS})
    for body, said in (
        ({}, "the body is no signed request"),
        (whole | {"client_public_key": "?"}, "signature and client_public_key: base64"),
        (whole | {"signature": ""}, "signature: found one of something else"),
        (changed, "signature: found one of something else"),
        (foreign, "payload.ClientID: found that of another key, allowed: "),
        (client.signed({"spec": PROCESS}), "missing ClientID"),
        (client.signed({"clientid": client.id}), "missing Spec"),
        (
            client.signed({"clientid": client.id, "spec": PROCESS | {"Sharding": {}}}),
            "Spec.Sharding: found unknown key",
        ),
    ):
        answer = await client.post("submit", body)
        assert (answer.status_code, answer.json()["Message"][: len(said)]) == (400, said)
    assert (await api.get(JOBS))["Items"] == []
    assert (await client.post("submit", whole)).status_code == 200
    assert (await client.post("submit", {"payload": whole})).status_code == 400


async def published(api: Api, client: Client, packed: bytes) -> str:
    """A job whose one partition has left this archive."""
    job_id = await client.submitted(PROCESS | {"publisher": "Local"})
    agent = Agent(api)
    await agent.sync()
    await agent.sync()
    (execution,) = agent.assigned
    stored = (await agent.put_result(execution, packed)).json()
    agent.end(0, published=SpecConfig(type=stored["Type"], params=stored["Params"]))
    await agent.sync()
    return job_id


def archive(contents: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"partition-0/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return made.getvalue()


def given_to(job: dict[str, Any]) -> dict[str, bytes]:
    """The files of a job's one input."""
    (source,) = job["Tasks"][0]["InputSources"]
    _, _, packed = source["Source"]["Params"]["URL"].partition("base64,")
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed))) as tar:
        return {one.name: file.read() for one in tar if (file := tar.extractfile(one))}


def mounted(*cids: str) -> dict[str, Any]:
    return DOCKER | {"inputs": [{"cid": cid, "path": "/in", "storagesource": "ipfs"} for cid in cids]}


async def test_results_of_a_job_are_the_input_of_another(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await published(api, client, await asyncio.to_thread(archive, {"stdout": b"hello\n", "out/x": b"1"}))
    (result,) = (await client.ask("results", job_id=job_id))["results"]
    cid = result["Data"]["CID"]
    assert (cid, (await api.http.get(result["Data"]["URL"])).status_code) == (f"{job_id}.0", 200)
    taker = await client.submitted(mounted(cid))
    assert given_to((await api.get(f"{JOBS}/{taker}"))["Job"]) == {"stdout": b"hello\n", "out/x": b"1"}
    for wrong, status, said in (
        (f"{job_id}.1", 404, f"partition not found: 1 of job {job_id}"),
        (job_id[:-1] + "x.0", 400, "Spec.inputs[0].CID: found"),
        (f"j-{'0' * 36}.0", 404, "job not found: j-0000"),
    ):
        answer = await client.submit(mounted(wrong))
        assert (answer.status_code, answer.json()["Message"][: len(said)]) == (status, said)
    for limit, most, what in (
        ("MOST_FILES", 1, "files and directories"),
        ("MOST_UNPACKED", 6, "bytes, unpacked"),
        ("MOST_RESULTS", 50, "bytes, packed"),
    ):
        monkeypatch.setattr(legacy, limit, most)
        answer = await client.submit(mounted(cid))
        assert (answer.status_code, answer.json()["Problems"][0]["Path"]) == (400, "Spec.inputs")
        said = f"Spec.inputs: found results of more than {most} {what}, allowed: {most}: "
        assert answer.json()["Message"].startswith(said)
        monkeypatch.undo()


async def test_results_that_cannot_be_put_together_are_refused(api: Api, client: Client, tmp_path: Path) -> None:
    noise = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(200))
    job_id = await published(api, client, await asyncio.to_thread(archive, {"stdout": noise}))
    (kept,) = [path for path in await asyncio.to_thread(lambda: list(tmp_path.rglob("*.tar.gz"))) if path.is_file()]
    await asyncio.to_thread(lambda: kept.write_bytes(kept.read_bytes()[:3000]))
    for cids, found in (
        ([f"{job_id}.0"] * 2, "Spec.inputs: found results of one partition twice at one path"),
        ([f"{job_id}.0"], "Spec.inputs: found Compressed file ended"),
    ):
        answer = await client.submit(mounted(*cids))
        assert (answer.status_code, answer.json()["Message"][: len(found)]) == (400, found)


async def test_a_token_reaches_the_jobs_of_its_namespaces_only(tmp_path: Path) -> None:
    tokens = {"admin": create(tmp_path, "admin", Role.ADMIN, (), 0)[0]}
    tokens["team"] = create(tmp_path, "team", Role.OPERATOR, ("a", "b"), 0)[0]
    async with orchestrator(tmp_path) as url, httpx.AsyncClient(base_url=url, timeout=10) as http:
        client = Client(http)
        foreign = await client.submitted(PROCESS, tokens["admin"])
        mine = await client.submitted(PROCESS, tokens["team"])
        shown = (await http.get(f"{JOBS}/{mine}", headers={"Authorization": f"Bearer {tokens['team']}"})).json()
        assert shown["Job"]["Namespace"] == "a", "the first of its own"
        answers = [
            await client.post(verb, {"job_id": foreign}, tokens["team"]) for verb in ("states", "events", "results")
        ]
        answers += [await client.post("list", {"id": foreign}, tokens["team"])]
        answers += [await client.cancel(foreign, tokens["team"])]
        answers += [await client.submit(mounted(f"{foreign}.0"), tokens["team"])]
        assert [(one.status_code, one.json()["Component"]) for one in answers] == [(403, "Authorizer")] * 6
        listed = (await client.post("list", {"return_all": True}, tokens["team"])).json()["jobs"]
        assert [one["Job"]["Metadata"]["ID"] for one in listed] == [mine]
        assert (await client.cancel(mine, tokens["team"])).status_code == 200
