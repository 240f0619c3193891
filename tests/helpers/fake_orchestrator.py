"""An orchestrator of one node, for tests of the agent: says what it is told, and can lose, delay and repeat answers."""

import asyncio
import base64
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Self

import msgspec
from aiohttp import web

from orchestrator.contract.agent import Assignment, End, LogMark, Report, SyncRequest, SyncResponse
from orchestrator.contract.ids import ExecutionId
from orchestrator.contract.job import Job

LOGS, RESULTS = (
    "/api/v1/agents/{node}/executions/{execution}/logs/{stream}",
    "/api/v1/agents/{node}/executions/{execution}/result",
)


class FakeOrchestrator:
    """Use as an async context manager; `url` is where it listens then.

    Tests call executions `e-1`; on the wire they are `real("e-1")`, because engines find programs by it on the whole machine.
    """

    def __init__(self, lease: float = 3.0, fence: float = 600.0) -> None:
        self._tag = f"-{uuid.uuid4()}"
        self.cluster_id = f"c{self._tag}"
        self.lease = lease
        self.fence = fence
        self.commit = 1
        self.wanted: dict[ExecutionId, Assignment] = {}
        self.jobs: dict[tuple[str, int], Job] = {}
        self.requests: list[SyncRequest] = []
        self.reports: dict[ExecutionId, Report] = {}
        self.ends: dict[ExecutionId, list[End]] = {}
        """All ends that were ever reported of an execution."""
        self.logs: dict[tuple[str, str], bytearray] = {}
        self.marks: dict[tuple[str, str], list[LogMark]] = {}
        self.puts: list[tuple[str, str, int]] = []
        self.results: dict[str, bytes] = {}
        self.refusal: tuple[int, str, str] | None = None
        """Status, code and message with which every sync is answered."""
        self.lose = 0
        """So many of the next syncs are observed, and their answers lost."""
        self.result_status = 200
        self.log_status = 200
        self.answer: Callable[[SyncRequest, SyncResponse], Awaitable[SyncResponse]] | None = None
        """May delay or change an answer."""
        self._news = asyncio.Event()
        self._seen: tuple[Any, ...] = ()
        self._arrivals = 0
        self.held = 0
        self.most_held = 0
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/api/v1/agents/{node}/sync", self._sync)
        app.router.add_put(LOGS, self._put_log)
        app.router.add_put(RESULTS, self._put_result)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        port = int(self.url.rpartition(":")[2]) if self.url else 0
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def assign(
        self, job: Job, execution_id: str, index: int = 0, attempt: int = 1, *, is_followed: bool = False
    ) -> None:
        """Want an execution."""
        self.jobs[job.id, job.version] = job
        self.wanted[ExecutionId(execution_id)] = Assignment(
            execution_id=self.real(execution_id),
            job_id=job.id,
            job_version=job.version,
            index=index,
            attempt=attempt,
            is_followed=is_followed,
        )
        self.tell()

    def real(self, name: str) -> ExecutionId:
        """The id on the wire of the execution that the test calls `name`."""
        return ExecutionId(name + self._tag)

    def stop(self, execution_id: str) -> None:
        """Want it no more."""
        self.wanted.pop(ExecutionId(execution_id), None)
        self.tell()

    def tell(self) -> None:
        """There is something new to answer."""
        self.commit += 1
        self._news.set()

    def end(self, execution_id: str) -> End | None:
        """How an execution ended, once it did."""
        ends = self.ends.get(ExecutionId(execution_id))
        return ends[-1] if ends else None

    async def until(self, holds: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait until something holds; fails with all reports after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():  # noqa: ASYNC110 - it polls, with a deadline
                    await asyncio.sleep(0.005)
        except TimeoutError:
            message = f"still not so after {seconds} s; reports: {self.reports}"
            raise AssertionError(message) from None

    async def _sync(self, request: web.Request) -> web.Response:
        sync = msgspec.json.decode((await request.read()).replace(self._tag.encode(), b""), type=SyncRequest)
        if self.refusal is not None:
            status, code, message = self.refusal
            return envelope(status, code, message)
        self.requests.append(sync)
        self.reports = {report.execution_id: report for report in sync.reports}
        has_news = len(self.requests) == 1
        for report in sync.reports:
            if report.end is not None:
                self.ends.setdefault(report.execution_id, []).append(report.end)
                has_news = self.wanted.pop(report.execution_id, None) is not None or has_news
        if self.lose > 0:
            self.lose -= 1
            assert request.transport is not None
            request.transport.close()
            return web.Response(status=500)
        self._arrivals += 1
        mine = self._arrivals
        self.held += 1
        self.most_held = max(self.most_held, self.held)
        try:
            if not has_news and not self._news.is_set():
                await self._hold(mine, sync.wait)
        finally:
            self.held -= 1
        self._news.clear()
        known = set(sync.held)
        response = SyncResponse(
            cluster_id=self.cluster_id,
            seq=sync.seq,
            commit=self.commit,
            lease_seconds=self.lease,
            fence_seconds=self.fence,
            assignments=tuple(self.wanted.values()),
            jobs=tuple(job for key, job in self.jobs.items() if key not in known),
        )
        if self.answer is not None:
            response = await self.answer(sync, response)
        return web.Response(body=msgspec.json.encode(response), content_type="application/json")

    async def _hold(self, mine: int, wait: float) -> None:
        """Until there is news, another sync, or the time is over."""
        deadline = asyncio.get_running_loop().time() + wait
        loop = asyncio.get_running_loop()
        while not self._news.is_set() and self._arrivals == mine and loop.time() < deadline:  # noqa: ASYNC110 - a test
            await asyncio.sleep(0.003)

    async def _put_log(self, request: web.Request) -> web.Response:
        content = await request.read()
        if self.log_status != 200:
            return envelope(self.log_status, "Trouble", "no log today")
        key = (request.match_info["execution"].removesuffix(self._tag), request.match_info["stream"])
        offset = int(request.query["offset"])
        self.puts.append((*key, offset))
        log = self.logs.setdefault(key, bytearray())
        if request.query.get("gap") == "true" and offset > len(log):
            log.extend(b"\0" * (offset - len(log)))
        if offset <= len(log):
            log[offset:] = content if offset + len(content) >= len(log) else log[offset:]
            raw = base64.b64decode(request.headers["X-Shoal-Marks"])
            self.marks.setdefault(key, []).extend(msgspec.json.decode(raw, type=list[LogMark]))
        return web.json_response({"Size": len(log)})

    async def _put_result(self, request: web.Request) -> web.Response:
        content = await request.read()
        if self.result_status != 200:
            return envelope(self.result_status, "Trouble", "no results today")
        execution = request.match_info["execution"].removesuffix(self._tag)
        self.results[execution] = content
        return web.json_response({"Type": "urlDownload", "Params": {"URL": f"{self.url}/results/{execution}.tar.gz"}})


def envelope(status: int, code: str, message: str) -> web.Response:
    """An error as the orchestrator answers it."""
    body = {"Status": status, "Message": message, "RequestID": "", "Code": code, "Component": "NodesManager"}
    return web.json_response(body, status=status)
