"""The real orchestrator in this process, on a free loopback port, and a scripted agent that says what a test wants."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from orchestrator.__main__ import listen, run
from orchestrator.config import Config
from orchestrator.contract.agent import Assignment, End, Inputs, LogMark, LogTail, Report, SyncRequest, SyncResponse
from orchestrator.contract.execution import NO_OUTPUT, Cause, ExecutionState, RunOutput
from orchestrator.contract.ids import ExecutionId, NodeId
from orchestrator.contract.node import ComputeNodeInfo, NodeInfo, Resources
from orchestrator.routes.backend import VERSION
from orchestrator.store.base import Store
from orchestrator.store.memory import MemoryStore

JOBS = "/api/v1/orchestrator/jobs"


@contextlib.asynccontextmanager
async def orchestrator(
    directory: Path,
    store: Store | None = None,
    *,
    lease: float = 30.0,
    manual_approval: bool = False,
    port: int = 0,
) -> AsyncIterator[str]:
    """A running orchestrator; gives its URL. Without a store of its own it forgets all at the end."""
    listener = listen("127.0.0.1", port)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    ending = asyncio.Event()
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    fence = max(600.0, lease)
    config = Config(data_dir=directory, lease=lease, fence=fence, manual_approval=manual_approval)
    serving = asyncio.ensure_future(run(config, store or MemoryStore(), listener, ending))
    try:
        async with httpx.AsyncClient() as client, asyncio.timeout(60):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"{url}/readyz")).status_code == 200:
                        break
                assert not serving.done(), f"it ended at its start: {serving}"
                await asyncio.sleep(0.01)
        yield url
    finally:
        ending.set()
        await serving
        listener.close()


class Api:
    """Requests to one orchestrator."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.AsyncClient(base_url=url, timeout=60)

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """One request; a body that is not bytes is sent as JSON."""
        headers = dict(options.pop("headers", {}))
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            options["content"] = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return await self.http.request(method, path, headers=headers, **options)

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON of an answer that has to be 200."""
        answer = await self.ask("GET", path, params=query or None)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def put(self, path: str, body: Any) -> Any:
        """The same of a PUT."""
        answer = await self.ask("PUT", path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def submit(self, name: str = "golden", *, count: int = 3, **fields: Any) -> str:
        """Submit a job of the process engine; gives its id."""
        job_id: str = (await self.put(JOBS, {"Job": plain_job(name, count=count, **fields)}))["JobID"]
        return job_id

    async def until(self, path: str, holds: Callable[[Any], object], seconds: float = 60.0) -> Any:
        """Ask until the answer is as wanted; gives it."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            found = await self.get(path)
            if holds(found):
                return found
            assert asyncio.get_running_loop().time() < deadline, f"still not so: {found}"
            await asyncio.sleep(0.01)


def plain_job(name: str, *, count: int = 3, cpu: str = "1", **fields: Any) -> dict[str, Any]:
    """A job in keys of the wire; `Publisher` and `Timeouts` go into its task."""
    task: dict[str, Any] = {key: fields.pop(key) for key in ("Publisher", "Timeouts") if key in fields}
    engine = {"Type": "process", "Params": {"Command": "true"}}
    task |= {"Name": "main", "Engine": engine, "Resources": {"CPU": cpu, "Memory": "1mb"}}
    return {"Name": name, "Type": "batch", "Count": count, "Tasks": [task], **fields}


class Agent:
    """A node that runs nothing: the test says how each execution stands."""

    def __init__(self, api: Api, name: str = "n1", *, cpu: float = 8, session: str = "s1") -> None:
        self.api = api
        self.name = name
        self.cpu = cpu
        self.session = session
        self.seq = 0
        self.cluster_id = ""
        self.reports: dict[str, Report] = {}
        self.assigned: dict[str, Assignment] = {}
        self.answer: SyncResponse | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Shoal-Session": self.session}

    async def sync_raw(self, *, wait: float = 0.0, held: tuple[Any, ...] = ()) -> httpx.Response:
        """One sync as HTTP."""
        self.seq += 1
        request = SyncRequest(
            cluster_id=self.cluster_id,
            session=self.session,
            seq=self.seq,
            info=node_info(self.name, self.cpu) if self.seq == 1 else None,
            reports=tuple(self.reports.values()),
            held=held,
            wait=wait,
        )
        return await self.api.ask("POST", f"/api/v1/agents/{self.name}/sync", msgspec.json.encode(request))

    async def sync(self, **options: Any) -> SyncResponse:
        """One sync; what the answer does not name any more is forgotten."""
        raw = await self.sync_raw(**options)
        assert raw.status_code == 200, raw.text
        answer = self.answer = msgspec.json.decode(raw.content, type=SyncResponse)
        self.cluster_id = answer.cluster_id
        self.assigned = {one.execution_id: one for one in answer.assignments}
        self.reports = {key: report for key, report in self.reports.items() if key in self.assigned}
        return answer

    def at(self, index: int) -> ExecutionId:
        """The execution of a partition."""
        return next(ExecutionId(key) for key, one in self.assigned.items() if one.index == index)

    def run(self, *indices: int) -> None:
        """These partitions run now, as the next sync says."""
        for index in indices:
            execution = self.at(index)
            need = Resources(cpu=1.0, memory=1_000_000)
            self.reports[execution] = Report(
                execution_id=execution, state=ExecutionState.RUNNING, need=need, running_ago=1.0
            )

    def end(
        self,
        index: int,
        *,
        exit_code: int | None = 0,
        cause: Cause | None = None,
        message: str = "",
        out: str = "",
        tails: tuple[LogTail, ...] = (),
        published: Any = None,
        inputs: Inputs | None = None,
    ) -> ExecutionId:
        """A partition has ended, as the next sync says."""
        execution = self.at(index)
        output: RunOutput = msgspec.structs.replace(NO_OUTPUT, stdout=out, exit_code=exit_code or 0)
        self.reports[execution] = Report(
            execution_id=execution,
            state=ExecutionState.FAILED if cause else ExecutionState.COMPLETED,
            end=End(
                exit_code=exit_code,
                cause=cause,
                message=message,
                run_output=output,
                run_seconds=1.0,
                tails=tails,
                published_result=published,
                inputs=inputs,
            ),
        )
        return execution

    async def put_log(
        self, execution: str, stream: str, offset: int, content: bytes, marks: tuple[LogMark, ...] = (), **query: Any
    ) -> httpx.Response:
        """Ship a piece of log."""
        path = f"/api/v1/agents/{self.name}/executions/{execution}/logs/{stream}"
        headers = self.headers | {
            "X-Shoal-Marks": base64.b64encode(msgspec.json.encode(marks)).decode(),
            "Content-Type": "application/octet-stream",
        }
        return await self.api.ask("PUT", path, content, headers=headers, params={"offset": offset, **query})

    async def put_result(self, execution: str, content: bytes) -> httpx.Response:
        """Ship an archive."""
        path = f"/api/v1/agents/{self.name}/executions/{execution}/result"
        return await self.api.ask("PUT", path, content, headers=self.headers | {"Content-Type": "application/gzip"})


def node_info(name: str, cpu: float) -> NodeInfo:
    """A node of so many cores that offers processes."""
    capacity = Resources(cpu=cpu, memory=8_000_000_000, disk=8_000_000_000)
    return NodeInfo(
        node_id=NodeId(name),
        node_type="Compute",
        labels={"name": name, "os_type": "linux", "os_arch": "amd64"},
        supported_protocols=("shoal/v1",),
        compute_node_info=ComputeNodeInfo(
            execution_engines=("process", "docker", "wasm"),
            publishers=("orchestrator", "local", "noop"),
            storage_sources=("local", "localdirectory", "inline"),
            max_capacity=capacity,
            queue_capacity=Resources(),
            available_capacity=capacity,
            max_job_requirements=capacity,
            running_executions=0,
            enqueued_executions=0,
            address="",
        ),
        bacalhau_version=VERSION,
    )
