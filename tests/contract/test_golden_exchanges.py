"""What Bacalhau's CLI and its Python SDK exchanged with a real Bacalhau, exchanged with ours: the same status, keys and types.

The jobs of the recordings are submitted as they were; agents that a script plays bring them where they were. What we do
otherwise on purpose is in a table with its reason: there, only status and shape are compared.
"""

import asyncio
import base64
import collections
import io
import json
import re
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest
import websockets

from orchestrator.contract.execution import Cause
from orchestrator.contract.job import SpecConfig
from tests.helpers.recorded import GOLDEN, MISSING, differences
from tests.helpers.server import JOBS, Agent, Api, orchestrator

FILES = {path.stem: path for folder in ("cli", "sdk") for path in GOLDEN.glob(f"{folder}/*.json")}
if not FILES:
    pytest.skip(MISSING, allow_module_level=True)

CHAINS: tuple[tuple[str, str, str], ...] = (
    ("", "", "agent-alive agent-config agent-node agent-version auth-info version"),
    ("", "", "node-describe node-describe-none node-list node-list-labels node-list-order node-list-table"),
    (
        "",
        "",
        "node-list-wide-capacity job-describe-none job-executions-none job-history-none job-logs-none job-stop-none",
    ),
    ("", "", "job-list-labels"),
    (
        "docker-run-3",
        "complete",
        (
            "job-describe job-describe-json job-describe-yaml job-executions job-executions-json job-executions-order job-get-3 "
            "job-history job-history-exec job-history-json job-logs job-logs-exec job-logs-follow job-logs-tail job-stop-done"
        ),
    ),
    ("docker-run-many-flags", "complete", ""),
    ("docker-run-follow", "complete", ""),
    ("job-run-input", "complete", "input-logs"),
    ("job-run-tmpl", "complete", ""),
    ("job-run-tmpl-env", "complete", ""),
    ("job-run-partition", "complete", "partition-describe-json partition-results-get"),
    ("", "", "job-run-same-name-nochange"),
    ("job-run-force", "complete", "job-versions job-versions-json job-history-v2 job-run-dryrun-diff"),
    ("job-run-update", "complete", ""),
    ("", "", "job-run-stdin"),
    ("job-rerun", "complete", ""),
    ("job-rerun-v1", "complete", ""),
    (
        "job-rerun-nochange-detach",
        "complete",
        "job-executions-allv job-executions-latest job-executions-v1 job-history-allv",
    ),
    ("job-run-id-only", "complete", ""),
    ("job-run-nowait", "complete", ""),
    ("job-run-follow", "complete", ""),
    ("job-run-group-events", "complete", "job-list-final job-list job-list-json job-list-order"),
    ("wasm-run-env", "complete", "wasm-describe"),
    ("wasm-run-exit", "complete", "wasm-exit-executions"),
    ("stop-me", "run", "stop-me-stop stop-me-describe stop-me-history"),
    ("docker-run-10of3", "complete", "10of3-describe 10of3-executions 10of3-history"),
    ("docker-run-fail1", "fail", "fail1-describe fail1-executions-json fail1-history-json"),
    ("docker-run-nocmd", "fail", "nocmd-executions-json nocmd-history"),
    ("docker-run-noimage", "fail", "noimage-history"),
    ("docker-run-oom", "fail", "oom-executions oom-history"),
    ("job-run-timeout", "fail", "timeout-describe timeout-history"),
    (
        "one-bad-partition",
        "fail",
        (
            "one-bad-partition-describe one-bad-partition-executions one-bad-partition-history one-bad-partition-rerun "
            "one-bad-partition-rerun-executions"
        ),
    ),
    ("docker-run-constraint", "wait", "constraint-history"),
    ("docker-run-toobig", "wait", "toobig-history"),
    ("job-run-queued", "complete", "queued-describe queued-history queued-stop queued-describe-stopped"),
    ("orchkill-queued", "complete", "orchkill-queued-describe"),
    ("orchkill-run", "complete", "orchkill-run-describe orchkill-run-history"),
    ("kill-node-run", "complete", ""),
    ("nodekill-run", "run", "nodekill-executions nodekill-describe nodekill-nodes nodekill-stop nodekill-history"),
    (
        "job-run-service",
        "run",
        "service-describe-json service-executions service-logs service-stop service-history-stopped",
    ),
    ("job-run-ops", "complete", "ops-describe-json ops-executions ops-logs"),
    ("job-run-daemon", "run", "daemon-describe-json daemon-executions daemon-logs daemon-stop daemon-history-stopped"),
    ("jobs", "complete", ""),
)
"""A recording that submits a job, where the agents bring it, and the recordings that follow; in this order."""
STATUS = {
    "job-run-same-name-nochange": 409,
    "job-run-stdin": 409,
    "queued-stop": 409,
    "jobs": 409,
}
"""Where Bacalhau's status is another (README of the recordings); of a DELETE or PUT that it answered with 500 or 200."""
PURPOSE = {
    **dict.fromkeys(("docker-run-10of3", "10of3-describe", "10of3-executions", "10of3-history"), "more than nodes: they wait"),
    **dict.fromkeys(
        ("docker-run-fail1", "fail1-describe", "fail1-executions-json", "fail1-history-json"), "a non-zero exit is a failure"
    ),
    **dict.fromkeys(
        (
            "docker-run-nocmd", "nocmd-executions-json", "nocmd-history", "docker-run-noimage", "noimage-history",
            "docker-run-oom", "oom-executions", "oom-history", "job-run-timeout", "timeout-describe", "timeout-history",
        ),
        "attempts with back-off; the message is the task's own, its output is kept",
    ),
    **dict.fromkeys(
        (
            "one-bad-partition", "one-bad-partition-describe", "one-bad-partition-executions", "one-bad-partition-history",
            "one-bad-partition-rerun", "one-bad-partition-rerun-executions",
        ),
        "healthy siblings complete",
    ),
    **dict.fromkeys(
        ("docker-run-constraint", "constraint-history", "docker-run-toobig", "toobig-history"), "waits 30 s for a node"
    ),
    **dict.fromkeys(
        ("job-run-queued", "queued-describe", "queued-history", "queued-stop", "queued-describe-stopped"),
        "many partitions per node: all are completed",
    ),
    **dict.fromkeys(("orchkill-queued-describe", "orchkill-run-describe", "orchkill-run-history"), "nothing is run again"),
    **dict.fromkeys(
        ("nodekill-executions", "nodekill-describe", "nodekill-nodes", "nodekill-stop", "nodekill-history"),
        "a lease of 30 s instead of 86 s: no node dies here",
    ),
    **dict.fromkeys(
        (
            "service-describe-json", "service-executions", "service-logs", "service-stop", "service-history-stopped",
            "daemon-describe-json", "daemon-executions", "daemon-logs", "daemon-stop", "daemon-history-stopped",
            "ops-describe-json", "ops-executions", "ops-logs",
        ),
        "running is 6; each has its number among as many as there are nodes",
    ),
    **dict.fromkeys(("wasm-describe", "wasm-exit-executions", "wasm-run-exit"), "a module that returns has exit code 0"),
    **dict.fromkeys(
        ("job-run-same-name-nochange", "job-run-stdin", "jobs"), "a user's mistake is no 5xx"
    ),
    "job-logs-tail": "the whole log of what has ended is no news: the same",
}  # fmt: skip
"""On purpose otherwise, and why."""
HISTORY = re.compile(r"/history(\?|$)")


class Play:
    """The recordings, played against one orchestrator with three nodes."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.agents = [Agent(api, name) for name in ("n1", "n2", "n3")]
        self.ours: dict[str, str] = {}
        """Our id of each of their jobs and executions."""
        self.found: dict[str, list[str]] = {}
        """Differences by recording."""
        self.compared: collections.Counter[str] = collections.Counter()

    async def run(self) -> None:
        for agent in self.agents:
            await agent.sync()
        for first, outcome, rest in CHAINS:
            for name in ([first] if first else []) + rest.split():
                await self.play(name, outcome if name == first else "")

    async def play(self, name: str, outcome: str) -> None:
        recorded = json.loads(FILES[name].read_text())
        self.found[name] = []
        for at, exchange in enumerate(recorded["exchanges"]):
            if (
                HISTORY.search(exchange["path"])
                and "next_token" in exchange["path"]
                and at + 1 < len(recorded["exchanges"])
            ):
                continue  # a poll: which page is there then is a matter of time
            if (exchange["method"], exchange["path"]) == ("POST", "/api/v1/auth/clientkey"):
                continue  # signs the name of another orchestrator
            self.compared[name] += 1
            path = self.translated(exchange["path"])
            if exchange.get("websocket"):
                self.found[name] += await self.socket(path, exchange["websocket"])
                continue
            request = exchange["request"]
            body = None if request is None else request.get("json", request.get("text"))
            body = restored(body) if body else body
            answer = await self.api.ask(exchange["method"], path, body, headers=exchange["request_headers"])
            self.found[name] += self.judged(name, exchange, answer.status_code, answer.content)
            if exchange["method"] == "PUT" and answer.status_code == 200 and outcome:
                self.ours[exchange["response"]["json"]["JobID"]] = answer.json()["JobID"]
                await self.settle(answer.json()["JobID"], outcome)
            elif exchange["method"] == "DELETE":
                await self.end_all("stop")

    def translated(self, path: str) -> str:
        """A path with our ids in place of theirs."""
        for theirs, ours in self.ours.items():
            path = path.replace(theirs, ours)
        for theirs, ours in self.ours.items():
            path = re.sub(rf"(?<=/){theirs[:10]}(?=[/?]|$)", ours[:10], path)
        return re.sub(r"e-[0-9a-f]{8}-[0-9a-f-]{27}", lambda found: self.ours.get(found[0], self.last_execution), path)

    def judged(self, name: str, exchange: dict[str, Any], status: int, content: bytes) -> list[str]:
        """How an answer of ours differs."""
        expected = exchange["status"]
        where = f"{exchange['method']} {exchange['path'][-60:]}"
        if status != expected and not (status == STATUS.get(name) and exchange["method"] in ("PUT", "DELETE")):
            return [f"!{where}: recorded {expected}, ours {status} {content[:200]!r}"]
        if status != expected:
            return [f"{where}: {status} for {expected}"]
        wanted, ours = exchange["response"].get("json"), json.loads(content)
        if status == 200 and HISTORY.search(exchange["path"]):
            return [
                f"{where}: {line}" for line in of_histories(wanted, ours, is_whole="limit=" not in exchange["path"])
            ]
        if (wanted.get("Job") or {}).get("State", {}).get("StateType") in ("Pending", "Running"):
            ours["Job"]["State"] = wanted["Job"]["State"]  # asked while it began
        if "History" in wanted:
            lines = of_histories(wanted.pop("History"), ours.pop("History"), is_whole=True)
            return [f"{where}: {line}" for line in [*lines, *differences(wanted, ours)]]
        if JOBS + "?" in exchange["path"] or "/nodes" in exchange["path"]:  # of other jobs, and in another order
            wanted, ours = (alike(one) for one in (wanted, ours))
        return [f"{where}: {line}" for line in differences(wanted, ours)]

    async def socket(self, path: str, recorded: dict[str, Any]) -> list[str]:
        """How a log stream of ours differs."""
        frames: list[str] = []
        async with websockets.connect(self.api.url.replace("http", "ws") + path, proxy=None) as stream:
            async with asyncio.timeout(0.5 if recorded["closed_by_client"] else 10):
                frames += [str(frame) async for frame in stream]
            code = stream.close_code
        wanted = [message["text"] for message in recorded["messages"] if message["from"] == "server"]
        found = [f"frame {at} ends without a newline" for at, frame in enumerate(frames) if not frame.endswith("\n")]
        if code != recorded["close_code"]:
            found.append(f"close code {code}")
        if bool(wanted) != bool(frames):
            found.append(f"recorded {len(wanted)} frames, ours {len(frames)}")
        for one, other in zip(wanted[:1], frames[:1], strict=False):
            found += differences(json.loads(one), json.loads(other))
            if "error" in json.loads(one) and json.loads(one)["error"] != json.loads(other)["error"]:
                found.append(f"recorded {one!r}, ours {other!r}")
        return found

    async def settle(self, job_id: str, outcome: str) -> None:
        """Bring a job where the recording had it."""
        publisher = (await self.api.get(f"{JOBS}/{job_id}"))["Job"]["Tasks"][0]["Publisher"]["Type"]
        self.published = SpecConfig(type="urlDownload", params={"URL": "x"}) if publisher else None
        for _ in range(60):
            job = (await self.api.get(f"{JOBS}/{job_id}"))["Job"]
            state = job["State"]["StateType"]
            if outcome == "wait" or state in ("Completed", "Failed", "Stopped"):
                break
            for agent in self.agents:
                await agent.sync()
                agent.run(*(one.index for one in agent.assigned.values()))
                await agent.sync()
            if outcome == "run":
                break
            await self.end_all(outcome)
            await asyncio.sleep(0.05)
        executions = (await self.api.get(f"{JOBS}/{job_id}/executions"))["Items"]
        self.last_execution = executions[0]["ID"] if executions else ""

    async def end_all(self, outcome: str) -> None:
        """Each program of each node has written a line, and ends."""
        for agent in self.agents:
            if outcome != "stop":  # an answer would not name what should stop
                await agent.sync()
            for one in list(agent.assigned.values()):
                await agent.put_log(one.execution_id, "out", 0, b"hello\n")
                if outcome == "complete":
                    agent.end(one.index, out="hello\n", published=self.published)
                else:
                    cause = Cause.EXIT if outcome == "fail" else Cause.CANCELLED
                    agent.end(one.index, exit_code=7, cause=cause, message="exit code 7", out="hello\n")
            await agent.sync()

    last_execution = ""
    published: SpecConfig | None = None
    """Where the results of the job that runs now are."""


def restored(body: Any) -> Any:
    """A request with what was taken out of its recording: the directory of a local input, the bytes of a module."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("main.wasm"))
    text = json.dumps(body).replace('"SourcePath": "', '"SourcePath": "/')
    module = base64.b64encode(packed.getvalue()).decode()
    return json.loads(re.sub(r"<gzip tar of the module, base64>", module, text))


def of_histories(wanted: Any, ours: Any, *, is_whole: bool) -> list[str]:
    """How a history of ours differs: the order of one instant is free, and what a page holds a matter of time."""
    found = differences(wanted["Items"][:1], ours["Items"][:1])
    if is_whole and texts(wanted) != texts(ours):
        missing, more = texts(wanted) - texts(ours), texts(ours) - texts(wanted)
        found.append(f"missing {dict(missing)}, more {dict(more)}")
    if is_whole and bool(wanted["NextToken"]) != bool(ours["NextToken"]):
        found.append(f"recorded token {wanted['NextToken']!r}, ours {ours['NextToken']!r}")
    return found


def texts(history: Any) -> "collections.Counter[str]":
    """What happened, by number, whatever the node."""
    lines = [f"{one['Type']} {one['Event']['Topic']}: {one['Event']['Message']}" for one in history["Items"]]
    return collections.Counter(re.sub(r"on n\d", "on NODE", line) for line in lines)


def alike(body: Any) -> Any:
    """A list whose first item stands for all, without the words that are of another job or node."""
    for key in ("Items", "Nodes"):
        if body and body.get(key):
            likely = [one for one in body[key] if one.get("Info", {}).get("NodeType", "Compute") == "Compute"]
            text = json.dumps((likely or body[key])[0])
            plain = re.sub(r'"(StateType|Type|Network|Resources|Status|Connection)": "\w*"', r'"\1": ""', text)
            plain = re.sub(r', "ResultPaths": \[[^]]*\]', "", plain)
            plain = re.sub(r'"(CPU|Memory)": "\w*"', r'"\1": ""', plain)
            body = body | {key: [json.loads(plain)]}
    return body


@pytest.fixture(scope="module")
def played() -> Play:
    """All recordings, played once."""
    return asyncio.run(play())


async def play() -> Play:
    with tempfile.TemporaryDirectory() as directory:
        async with orchestrator(Path(directory)) as url:
            api = Api(url)
            try:
                played = Play(api)
                await played.run()
            finally:
                await api.http.aclose()
    return played


def names() -> list[str]:
    return [name for first, _, rest in CHAINS for name in ([first] if first else []) + rest.split()]


@pytest.mark.parametrize("name", names())
def test_a_recorded_exchange_goes_alike_or_otherwise_on_purpose(name: str, played: Play) -> None:
    found = played.found[name]
    if name in PURPOSE:
        assert [line for line in found if line.startswith("!") or "is missing" in line] == []
    else:
        assert found == []


def test_every_recording_with_exchanges_is_played() -> None:
    with_exchanges = {name for name, path in FILES.items() if json.loads(path.read_text())["exchanges"]}
    assert with_exchanges - set(names()) == set()


def test_the_table_of_what_was_compared(played: Play, capsys: pytest.CaptureFixture[str]) -> None:
    on_purpose = [name for name in played.found if name in PURPOSE and played.found[name]]
    different = [name for name in played.found if name not in PURPOSE and played.found[name]]
    equal = len(played.found) - len(on_purpose) - len(different)
    with capsys.disabled():
        sys.stdout.write(
            f"\nrecordings of cli and sdk: {len(FILES)}, with exchanges {len(played.found)}, exchanges compared "
            f"{played.compared.total()}; equal {equal}, different on purpose {len(on_purpose)}, different {len(different)}\n"
        )
    assert different == []
