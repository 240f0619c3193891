"""An orchestrator of canned answers behind the CLI's client, so that the CLI is tested without a server."""

import array
import asyncio
import base64
import io
import re
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import httpx
import msgspec

from orchestrator.contract.api import GetJobResponse, HistoryList, JobList, NodeList, PutJobResponse, ResultList
from orchestrator.contract.decode import decode_job
from orchestrator.contract.execution import Cause
from orchestrator.contract.history import Event, JobHistory, Level
from orchestrator.contract.ids import ExecutionId, JobId, NodeId, Timestamp
from orchestrator.contract.job import Job, JobState, JobStateType, SpecConfig
from orchestrator.contract.node import (
    ZERO_TIME,
    BuildVersion,
    ComputeNodeInfo,
    Connection,
    ConnectionState,
    Membership,
    NodeInfo,
    NodeState,
    Resources,
)
from orchestrator.contract.overview import ClusterEvent, ClusterEvents, JobChanged, NodeChanged
from orchestrator.contract.partitions import (
    NO_NODE,
    Attempt,
    FailureGroup,
    Failures,
    Frame,
    Grid,
    PartitionDetail,
    PartitionInputs,
    PartitionState,
    Row,
    Rows,
)
from orchestrator.contract.plan import Difference, Plan, PlanKind, PlannedNode

JOB_ID = JobId("j-11111111-2222-4333-8444-555555555555")
NODE = NodeId("n1")
EVIL = "x [/y] [@click=app.quit]z\x1b[31m"
"""A name that is markup and a control sequence to whoever takes it for one."""
CREATED = Timestamp(1_792_000_000_000_000_000)
JOBS = "/api/v1/orchestrator/jobs"


def execution_id(index: int, attempt: int = 1) -> ExecutionId:
    """The id of an attempt."""
    return ExecutionId(f"e-{index:08d}-{attempt:04d}-4000-8000-000000000000")


def job_of(count: int, state: JobStateType, message: str = "", *, name: str = "fish") -> Job:
    """A job as the orchestrator tells it."""
    task = {"Name": "main", "Engine": {"Type": "process", "Params": {"Command": "true"}}}
    job = decode_job({"Name": "fish", "Type": "batch", "Count": count, "Tasks": [task]}).job
    assert job is not None
    return msgspec.structs.replace(
        job,
        id=JOB_ID,
        name=name,
        state=JobState(state_type=state, message=message),
        version=1,
        revision=3,
        create_time=CREATED,
        modify_time=Timestamp(CREATED + 3_000_000_000),
    )


def summary(states: Sequence[int]) -> dict[str, int]:
    """How many partitions are in each state, as a grid tells it."""
    found: dict[str, int] = {}
    for state in states:
        name = PartitionState(state).name.capitalize()
        found[name] = found.get(name, 0) + 1
    return found


def grid_of(
    states: Sequence[int],
    job_state: str = "Running",
    *,
    attempts: Sequence[int] | None = None,
    cursor: str = "c0",
    message: str = "",
) -> Grid:
    """A grid whose started partitions are all on `n1`."""
    nodes = array.array("H", [NO_NODE if state == PartitionState.WAITING else 0 for state in states])
    default = [0 if state == PartitionState.WAITING else 1 for state in states]
    return Grid(
        cursor=cursor,
        job_id=JOB_ID,
        job_version=1,
        count=len(states),
        states=bytes(states),
        attempts=bytes(attempts if attempts is not None else default),
        nodes=nodes.tobytes(),
        node_ids=(NODE,),
        summary=summary(states),
        job_state=job_state,
        job_message=message,
    )


def frame_of(
    cursor: str,
    changes: Mapping[int, tuple[int, int]],
    states: Sequence[int],
    job_state: str = "Running",
    message: str = "",
) -> Frame:
    """A delta: `changes` are state and attempts by index, `states` all states after it."""
    return Frame(
        cursor=cursor,
        indices=array.array("I", list(changes)).tobytes(),
        states=bytes(state for state, _ in changes.values()),
        attempts=bytes(attempt for _, attempt in changes.values()),
        nodes=array.array("H", [0] * len(changes)).tobytes(),
        summary=summary(states),
        job_state=job_state,
        job_message=message,
        job_version=1,
    )


def row(index: int, state: str, *, cause: str = "", exit_code: int | None = None, message: str = "") -> Row:
    """A row on `n1`."""
    is_begun = state != "waiting"
    return Row(
        index=index,
        state=state,
        attempts=1 if is_begun else 0,
        node_id=NODE if is_begun else "",
        execution_id=execution_id(index) if is_begun else "",
        started="2026-10-14T16:26:40Z" if is_begun else "",
        finished="2026-10-14T16:26:41Z" if state in ("completed", "failed") else "",
        exit_code=0 if state == "completed" else exit_code,
        cause=cause,
        message=message,
    )


def attempt(number: int, state: str, *, cause: str = "", exit_code: int | None = None, message: str = "") -> Attempt:
    """An attempt on `n1`."""
    return Attempt(
        attempt=number,
        execution_id=execution_id(0, number),
        node_id=NODE,
        state=state,
        created="2026-10-14T16:26:40Z",
        exit_code=exit_code,
        cause=cause,
        message=message,
    )


def detail(index: int, *attempts: Attempt) -> PartitionDetail:
    """A partition with its attempts."""
    return PartitionDetail(job_id=JOB_ID, job_version=1, partition=row(index, "running"), attempts=attempts)


def node_of(name: str = "n1") -> NodeState:
    """A connected node with two cores."""
    most = Resources(cpu=2.0, memory=4_000_000_000, disk=8_000_000_000)
    compute = ComputeNodeInfo(
        execution_engines=("process",),
        publishers=("orchestrator",),
        storage_sources=("inline",),
        max_capacity=most,
        queue_capacity=Resources(),
        available_capacity=Resources(cpu=1.5, memory=3_000_000_000, disk=8_000_000_000),
        max_job_requirements=most,
        running_executions=1,
        enqueued_executions=0,
        address="",
    )
    info = NodeInfo(
        node_id=NodeId(name),
        node_type="Compute",
        labels={"os": "linux", "evil": EVIL},
        supported_protocols=(),
        compute_node_info=compute,
        bacalhau_version=BuildVersion(
            git_version="v1.9.3", git_commit="a", build_date="", goos="linux", goarch="amd64"
        ),
    )
    state = ConnectionState(
        status=Connection.CONNECTED,
        last_heartbeat="2026-10-14T16:26:40Z",
        connected_since="2026-10-14T16:26:40Z",
        disconnected_since=ZERO_TIME,
    )
    return NodeState(info=info, membership=Membership.APPROVED, connection=Connection.CONNECTED, connection_state=state)


def archive_of(index: int, files: Mapping[str, bytes]) -> bytes:
    """A results archive of a partition."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"partition-{index}/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


class Held(httpx.AsyncByteStream):
    """A body that does not end."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Nothing, for ever."""
        await asyncio.Event().wait()
        yield b""


Answer = httpx.Response | msgspec.Struct | dict[str, Any] | bytes
Handler = Callable[[httpx.Request], Answer]


class FakeApi:
    """Answers by method and path; records what was asked. An unknown path is answered as an unknown route."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.routes: list[tuple[str, re.Pattern[str], Handler]] = []
        self.on("GET", "/schema", {"components": {"schemas": {"SubmitRequest": {"properties": {"DryRun": {}}}}}})

    def on(self, method: str, path: str, *answers: Answer | Handler | Exception) -> None:
        """Answer requests of a path (a pattern) one after the other, the last one for good. Later rules win."""
        left = list(answers)

        def handler(request: httpx.Request) -> Answer:
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, Exception):
                raise answer
            return answer if isinstance(answer, httpx.Response | msgspec.Struct | dict | bytes) else answer(request)

        self.routes.insert(0, (method, re.compile(path), handler))

    def watch(self, *connections: Sequence[Frame]) -> None:
        """The frames of each connection to the watch; the last connection ends at once, again and again."""
        bodies = [b"".join(msgspec.json.encode(frame) + b"\n" for frame in frames) for frames in connections]
        self.on("GET", ".*/jobs/[^/]+/watch", *bodies, b"")

    def refuse(self, method: str, path: str, status: int, code: str, message: str, **more: Any) -> None:
        """Answer with an error envelope."""
        component = more.pop("component", "JobStore")
        body = {"Status": status, "Message": message, "RequestID": "", "Code": code, "Component": component, **more}
        self.on(method, path, lambda _: httpx.Response(status, json=body))

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """The answer to a request."""
        self.requests.append(request)
        for method, path, handler in self.routes:
            if method == request.method and path.fullmatch(request.url.path):
                answer = handler(request)
                if isinstance(answer, httpx.Response):
                    return answer
                if isinstance(answer, bytes):
                    return httpx.Response(200, content=answer)
                return httpx.Response(200, content=msgspec.json.encode(answer))
        body = {
            "Status": 404,
            "Message": "no such route",
            "RequestID": "",
            "Code": "NotFound",
            "Component": "APIServer",
        }
        return httpx.Response(404, json=body)

    def sent(self, method: str) -> list[Any]:
        """Bodies of the requests of a method."""
        return [msgspec.json.decode(request.content) for request in self.requests if request.method == method]


def plan() -> Plan:
    """An update that one of two nodes takes."""
    return Plan(
        kind=PlanKind.UPDATE,
        job_id=JOB_ID,
        old_version=1,
        new_version=2,
        stopping=1,
        differences=(Difference(path="Count", old=5, new=1), Difference(path="Labels.evil", old=EVIL)),
        partitions=1,
        nodes=(
            PlannedNode(node_id=NODE, matches=True, slots=2),
            PlannedNode(node_id=NodeId("n2"), matches=False, reason="is being drained: disk"),
        ),
    )


def happened() -> tuple[ClusterEvent, ...]:
    """A node that joins, and an execution that fails."""
    time = "2026-10-14T16:26:40Z"
    details = {"IsError": "true", "ExitCode": "7"}
    return (
        ClusterEvent(time=time, type=Level.NODE, topic="Node", message="Node joined", node_id=NODE),
        ClusterEvent(
            time=time,
            type=Level.EXECUTION,
            topic="Running Execution",
            message=f"boom {EVIL}",
            job_id=JOB_ID,
            job_name="fish",
            job_version=1,
            execution_id=execution_id(3),
            partition=3,
            node_id=NODE,
            details=details,
        ),
    )


def ordinary() -> FakeApi:
    """A cluster with one node and one job of five partitions that failed in one of them."""
    api = FakeApi()
    states = [6, 6, 6, 7, 6]
    job = job_of(5, JobStateType.FAILED, "1 of 5 partitions failed", name=EVIL)
    rows = [row(i, "completed") for i in (0, 1, 2, 4)]
    bad = row(3, "failed", cause="exit", exit_code=7, message=f"boom {EVIL}")
    rows.insert(3, bad)
    group = FailureGroup(group="g1", cause=Cause.EXIT, exit_code=7, message="boom", count=1, partitions="3", sample=bad)
    event = Event(message="Job submitted", topic="Submission", timestamp="2026-10-14T16:26:40Z")
    line = JobHistory(seq_num=1, type=Level.JOB, job_id=JOB_ID, job_version=1, event=event, time="2026-10-14T16:26:40Z")
    one = f"{JOBS}/[^/]+"
    api.on("GET", JOBS, JobList(next_token="", items=(job,)))
    api.on(
        "PUT",
        JOBS,
        lambda request: (
            plan()
            if msgspec.json.decode(request.content).get("DryRun")
            else PutJobResponse(job_id=JOB_ID, evaluation_id="1", warnings=None)
        ),
    )
    api.on("PUT", f"{one}/suspend", JobChanged(evaluation_id="4"))
    api.on("PUT", f"{one}/resume", JobChanged(evaluation_id=""))
    api.on("PUT", "/api/v1/orchestrator/nodes/n1", NodeChanged(success=True, running=2, by_state={"running": 2}))
    api.on("GET", "/api/v1/orchestrator/events", ClusterEvents(cursor="5.1.j", items=happened()))
    api.on("GET", one, GetJobResponse(job=job, history=HistoryList(next_token="", items=(line,))))
    api.on("GET", f"{one}/history", HistoryList(next_token="", items=(line,)))
    api.on("GET", f"{one}/versions", JobList(next_token="", items=(job,)))
    api.on("GET", f"{one}/executions", {"NextToken": "", "Items": []})
    api.on("GET", f"{one}/failures", Failures(next_token="", items=(group,)))
    api.on("GET", f"{one}/explain", {"NextToken": "", "Items": []})
    api.on("GET", f"{one}/partitions/3", detail(3, attempt(1, "failed", cause="exit", exit_code=7, message="boom")))
    api.on("GET", f"{one}/partitions/\\d+/inputs", PartitionInputs(next_token="", items=()))

    def partitions(request: httpx.Request) -> Answer:
        if "select" not in request.url.params:
            return grid_of(states, "Failed", message="1 of 5 partitions failed")
        chosen = (
            [one for one in rows if one.state == "completed"] if request.url.params["select"] == "completed" else rows
        )
        return Rows(next_token="", items=tuple(chosen))

    api.on("GET", f"{one}/partitions", partitions)
    api.watch()
    url = f"http://127.0.0.1:1234{JOBS}/{JOB_ID}/results"
    items = tuple(SpecConfig(type="urlDownload", params={"URL": f"{url}/{index}.tar.gz"}) for index in (0, 1))
    api.on("GET", f"{one}/results", ResultList(next_token="", items=items))
    for index in (0, 1):
        files = {"stdout": b"hello\n", "stderr": b"", "exitCode": b"0", "out/data.txt": b"%d\n" % index}
        api.on("GET", f"{one}/results/{index}.tar.gz", archive_of(index, files))
    api.on("GET", "/api/v1/orchestrator/nodes", NodeList(next_token="", nodes=(node_of(),)))
    api.on("GET", "/api/v1/orchestrator/nodes/n1", {"Node": msgspec.to_builtins(node_of())})
    api.on("GET", "/api/v1/agent/alive", {"Status": "OK"})
    build = {"GitVersion": "v0.1.0", "GitCommit": "a", "BuildDate": "2026", "GOOS": "linux", "GOARCH": "amd64"}
    api.on("GET", "/api/v1/agent/version", build)
    api.on("GET", "/api/v1/agent/node", node_of("orchestrator").info)
    action = {"Count": 1, "ByState": {"failed": 1}, "Cursor": "c1", "EvaluationID": "2"}
    api.on("PUT", f"{one}/partitions/retry", action)
    api.on("PUT", f"{one}/partitions/stop", action)
    api.on("DELETE", one, {"EvaluationID": "3"})

    def log(request: httpx.Request) -> Answer:
        content = b"raw \xff\x1b[0m\n" if request.url.params["stream"] == "out" else b"err\n"
        size = len(content)
        packed = base64.b64encode(content).decode()
        return {"Data": packed, "Offset": 0, "NextOffset": size, "Size": size, "End": True, "Stamps": []}

    api.on("GET", f"{one}/partitions/\\d+/attempts/\\d+/log", log)
    return api
