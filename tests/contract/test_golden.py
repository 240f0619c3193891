"""Requests that a real Bacalhau has answered, sent to our orchestrator: the same status, keys, nesting and types.

Where we differ on purpose, a table says how. What is not built yet is in a table of its own, and must still answer in the
envelope of errors.
"""

import asyncio
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.helpers.recorded import GOLDEN, MISSING, differences
from tests.helpers.server import JOBS, Agent, Api, orchestrator

HTTP = GOLDEN / "http"
FILES = sorted(path.stem for path in HTTP.glob("*.json"))
if not FILES:
    pytest.skip(MISSING, allow_module_level=True)

ORDER = ("put-", "job-", "list", "stop-", "rerun", "diff", "nodes", "node")
"""Files that need the job or the nodes, by how their names begin, in this order; all others go first."""
NODE_ORDER = (
    "node-get",
    "node-get-none",
    "node-put-reject",
    "node-put-reject2",
    "node-get-rejected",
    "node-put-approve",
    "node-put-bad",
    "node-put-none",
    "node-put-delete-connected",
)
"""What is done to a node changes what follows."""
THEIR_JOB = "j-30957fe5-f266-420e-8e3a-faa31edd2b44"
OURS = {
    "authn-challenge": (400, "a user's mistake is no 5xx"),
    "job-get-tooshort": (409, "a user's mistake is no 5xx"),
    "job-logs-plain": (400, "an empty log would be a lie"),
    "legacy-alive": (405, "the Airflow operator needs what was removed there, by POST"),
    "list-order-bad": (400, "a user's mistake is no 5xx"),
    "node-put-bad": (400, "a user's mistake is no 5xx"),
    "put-badconstraint": (400, "refused when it comes, not left waiting"),
    "put-badengine": (400, "refused when it comes, not failed later"),
    "put-badlabel": (400, "no selector could name it"),
    "put-badname": (200, "the recording is of a second submission; the name is fine"),
    "put-badpublisher": (400, "refused when it comes, not failed later"),
    "put-longname": (400, "at most 253 characters"),
    "put-noct": (415, "the status says it"),
    "put-noimage": (400, "refused when it comes, not failed later"),
    "put-text": (415, "the status says it"),
    "put-yaml": (415, "the status says it"),
    "rerun": (200, "the recording is of a store that was locked"),
    "rerun-badversion": (404, "the recording is of a store that was locked"),
    "rerun-none": (404, "an unknown job is not found"),
    "stop-done": (409, "a user's mistake is no 5xx"),
}
"""On purpose another status, and why."""
OWN_WORDS = {
    "job-history-bad": "Go's validator",
    "put-badname": "the recording is of a second submission",
    "put-longname": "the same",
    "put-badnet": "Go's decoder",
    "put-array": "Go's decoder",
    "put-notjson": "Go's decoder",
    "put-big": "says how much is allowed",
    "put-unknown-key": "names the unknown key, too",
    "put-wrongtype": "Go's decoder",
    "authn-challenge": "Go's decoder",
    "authn-challenge-bad": "Go's decoder",
    "job-get-version9": "has the id of the job",
}
"""Errors whose text is ours although the status is the same, and whose words the recording has."""


@pytest.fixture(scope="module")
def answers() -> dict[str, httpx.Response]:
    """What our orchestrator answers to every request, played in their order."""
    return asyncio.run(play())


async def play() -> dict[str, httpx.Response]:
    given: dict[str, httpx.Response] = {}
    job_id = ""
    with tempfile.TemporaryDirectory() as directory:
        async with orchestrator(Path(directory)) as url:
            api = Api(url)
            agents = [Agent(api, name) for name in ("n1", "n2", "n3")]
            for agent in agents:
                await agent.sync()
            for name in sorted(FILES, key=place):
                recorded = read(name)
                given[name] = await send(api, recorded, job_id)
                if name == "put-ok":
                    job_id = given[name].json()["JobID"]
                    await complete(api, agents, job_id)
            await api.http.aclose()
    return given


def place(name: str) -> tuple[int, bool, str]:
    """`put-ok` is the last of its group: what follows is about its job."""
    if name in NODE_ORDER:
        return len(ORDER) + 1, False, f"{NODE_ORDER.index(name)}"
    group = next((at for at, begin in enumerate(ORDER, 1) if name.startswith(begin)), 0)
    return group, name == "put-ok", name


def read(name: str) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((HTTP / f"{name}.json").read_text())
    return recorded


async def send(api: Api, recorded: dict[str, Any], job_id: str) -> httpx.Response:
    path = recorded["path"].replace(THEIR_JOB, job_id).replace(THEIR_JOB[:10], job_id[:10])
    request = recorded["request"]
    body = request["raw"].encode() if isinstance(request, dict) and "raw" in request else request
    if body is not None and b"bytes)" in (body if isinstance(body, bytes) else b""):
        body = b'{"Job": {"Name": "' + b"x" * 11_000_000 + b'"}}'  # the recording was cut
    return await api.ask(recorded["method"], path, body, headers=recorded["request_headers"])


async def complete(api: Api, agents: list[Agent], job_id: str) -> None:
    """Run all that is there to its end."""
    while (await api.get(f"{JOBS}/{job_id}"))["Job"]["State"]["StateType"] != "Completed":
        for agent in agents:
            await agent.sync()
            agent.run(*(one.index for one in agent.assigned.values()))
            await agent.sync()
            for one in list(agent.assigned.values()):
                agent.end(one.index)
            await agent.sync()


def lines(history: list[dict[str, Any]]) -> list[str]:
    """What happened, in an order of its own: that of one instant is free."""
    return sorted(
        re.sub(r"on n\d", "on NODE", f"{line['Type']} {line['Event']['Topic']}: {line['Event']['Message']}")
        for line in history
    )


@pytest.mark.parametrize("name", FILES)
def test_a_recorded_request_is_answered_alike(name: str, answers: dict[str, httpx.Response]) -> None:
    recorded, answer = read(name), answers[name]
    status = OURS[name][0] if name in OURS else recorded["status"]
    assert answer.status_code == status, answer.text
    if status == 301:
        assert answer.headers["location"] == recorded["response_headers"]["location"]
        return
    assert answer.headers["content-type"] == "application/json"
    if name in OURS:
        assert status == 200 or answer.json()["Status"] == status
        return
    wanted, ours = recorded["response"]["json"], answer.json()
    if name == "nodes-limit":  # which one comes first is a matter of names
        assert len(ours["Nodes"]) == len(wanted["Nodes"])
        return
    if name == "debug":  # what they have of their own (a NATS server) we have not
        nodes = [node for node in ours["DiscoveredNodes"] if node["Info"]["NodeType"] == "Compute"]
        wanted, ours = {"DiscoveredNodes": wanted["DiscoveredNodes"][:1]}, {"DiscoveredNodes": nodes[:1]}
    if status == 200 and name == "config":
        assert {"API", "Orchestrator", "Compute", "JobDefaults"} <= ours["config"].keys()
        return
    is_history = name.startswith("job-history") and status == 200
    if is_history and "limit" not in name:
        assert lines(ours["Items"]) == lines(wanted["Items"])
        wanted, ours = wanted | {"Items": wanted["Items"][:1]}, ours | {"Items": ours["Items"][:1]}
    if name == "job-get-include-both":
        assert lines(ours["History"]["Items"]) == lines(wanted["History"]["Items"])
        wanted, ours = (
            wanted | {"History": only_shape(wanted["History"])},
            ours | {"History": only_shape(ours["History"])},
        )
    if name.startswith(("list", "nodes")) or is_history:
        wanted, ours = only_shape(wanted), only_shape(ours)
    assert differences(wanted, ours) == []
    if status >= 400 and "Hint" in wanted:
        assert ours["Hint"] == wanted["Hint"]
    if status >= 400 and not str(wanted.get("Message", "code=")).startswith("code=") and name not in OWN_WORDS:
        assert ours["Message"] == wanted["Message"]


def only_shape(answer: Any) -> Any:
    """An answer whose items are of other jobs or in another order: the first item stands for all."""
    for key in ("Items", "Nodes"):
        if answer.get(key):
            likely = [one for one in answer[key] if one.get("Info", {}).get("NodeType", "Compute") == "Compute"]
            first = json.loads(
                re.sub(
                    r'"(StateType|Type|Topic|NodeType|Status|Connection)": "\w*( \w*)*"',
                    r'"\1": ""',
                    json.dumps((likely or answer[key])[0]),
                )
            )
            first.pop("Resources", None)
            answer = answer | {key: [first]}
    return answer


def test_every_difference_is_of_a_recording() -> None:
    assert {*OURS, *OWN_WORDS} <= set(FILES)


def test_the_table_of_what_was_compared(answers: dict[str, httpx.Response], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(
            f"\nrecordings of http: {len(FILES)}, requests compared {len(answers)}; equal {len(FILES) - len(OURS)}, "
            f"of these with words of ours {len(set(OWN_WORDS) - set(OURS))}, different on purpose {len(OURS)}\n"
        )
    assert len(answers) == len(FILES)
