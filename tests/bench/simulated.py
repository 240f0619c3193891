"""Agents that speak the real sync and end everything at once: what a partition and a node cost the orchestrator alone."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from node.capacity import Load, Offer, labels_of, node_info
from orchestrator.contract.agent import Assignment, End, Report, SyncRequest, SyncResponse
from orchestrator.contract.execution import ExecutionState, RunOutput
from orchestrator.contract.ids import JobId, NodeId
from orchestrator.contract.node import NodeInfo, Resources

DONE = End(
    exit_code=0,
    run_output=RunOutput(
        stdout="", stdout_truncated=False, stderr="", stderr_truncated=False, exit_code=0, error_msg=""
    ),
    run_seconds=100.0,
)
"""Long runs, so that nothing is assigned beyond the slots: a sync then carries as many ends as there are slots."""
HELD_SECONDS = 10.0


class Agent:
    """One node of `slots` cores. `syncs` counts its calls."""

    def __init__(self, http: aiohttp.ClientSession, url: str, slots: int) -> None:
        self.node_id = NodeId(f"simulated-{uuid.uuid4().hex[:8]}")
        self.syncs = 0
        self._http = http
        self._url = f"{url}/api/v1/agents/{self.node_id}/sync"
        self._session = str(uuid.uuid4())
        self._jobs: dict[tuple[JobId, int], None] = {}
        self._slots = slots

    def _info(self, engines: tuple[str, ...]) -> NodeInfo:
        capacity = Resources(cpu=self._slots, memory=1 << 40, disk=1 << 40)
        offer = Offer(engines=engines, publishers=(), sources=(), capacity=capacity)
        nothing = Load(used=Resources(), running=0, queued=Resources(), enqueued=0)
        return node_info(self.node_id, labels_of(self.node_id, {}, ()), offer, nothing)

    async def run(self) -> None:
        """Sync until cancelled: what is assigned has ended with the next call. At the end, offer nothing any more."""
        ended: tuple[Assignment, ...] = ()
        info: NodeInfo | None = self._info(("process",))
        try:
            while True:
                ended = await self._sync(ended, info, HELD_SECONDS if info is None else 0.0)
                info = None
        finally:
            await self._sync((), self._info(()), 0.0)

    async def _sync(self, ended: tuple[Assignment, ...], info: NodeInfo | None, wait: float) -> tuple[Assignment, ...]:
        """One call; gives what is assigned."""
        self.syncs += 1
        request = SyncRequest(
            session=self._session,
            seq=self.syncs,
            info=info,
            held=tuple(self._jobs),
            reports=tuple(
                Report(execution_id=one.execution_id, state=ExecutionState.COMPLETED, end=DONE) for one in ended
            ),
            wait=wait,
        )
        body = msgspec.json.encode(request)
        async with self._http.post(self._url, data=body, headers={"Content-Type": "application/json"}) as answer:
            raw = await answer.read()
            assert answer.status == 200, raw
        response = msgspec.json.decode(raw, type=SyncResponse)
        self._jobs |= dict.fromkeys((job.id, job.version) for job in response.jobs)
        return response.assignments


@asynccontextmanager
async def agents(url: str, number: int, slots: int) -> AsyncIterator[list[Agent]]:
    """`number` nodes, connected; they fall silent at the end."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as group:
        them = [Agent(http, url, slots) for _ in range(number)]
        tasks = [group.create_task(one.run()) for one in them]
        deadline = time.monotonic() + 60
        while not all(one.syncs > 1 for one in them):
            assert time.monotonic() < deadline, "the agents do not connect"
            await asyncio.sleep(0.02)
        yield them
        for task in tasks:
            task.cancel()
