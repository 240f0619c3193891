"""Follows the cluster: its jobs, how far each has come, its nodes. No terminal.

One list to begin with, then the cluster's watch tells what changes. Where a server has no such watch the list is asked for
every few seconds; where the list does not say how far jobs are, their grids are: unfinished ones each time, ended ones once.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing

import msgspec
from msgspec.structs import replace

from orchestrator.client import ClientError, OrchestratorClient
from orchestrator.client_stream import watch_cluster
from orchestrator.contract.api import JobList
from orchestrator.contract.job import Job
from orchestrator.contract.node import Connection, Membership, NodeState
from orchestrator.contract.overview import ClusterFrame, ListedJob, ListedJobs
from tui.model.jobs import JobLine, Pace, RetryRate, line_of, line_of_summary

NEWEST = 500
"""Jobs that are looked at, beside those that have not ended."""
BIG = 20_000
"""Partitions from which on the grid of a job is asked for only every ten seconds."""
PINGS = 8.0
"""Seconds between two measurements of the round trip."""


class Progress(msgspec.Struct, frozen=True):
    """How far a job had come when it was last asked."""

    modified: int
    asked: float
    summary: Mapping[str, int]
    retries: int


class Overview:
    """The newest jobs and all nodes. What was known stays when asking fails."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.lines: dict[str, JobLine] = {}
        self.jobs: dict[str, Job] = {}
        """The jobs themselves, as far as a list brought them."""
        self.nodes: tuple[NodeState, ...] = ()
        self.rates = RetryRate()
        self.pace = Pace()
        self.is_known = False
        """Whether it was ever asked with success."""
        self.is_cut = False
        """Whether there are older jobs."""
        self.rtt = 0.0
        """Seconds of the last short request."""
        self._progress: dict[str, Progress] = {}
        self._clock = clock
        self._pinged = 0.0
        self.is_told = True
        """Whether the cluster tells by itself what changes; else it is asked now and then."""
        self._has_summaries = True

    async def follow(self, client: OrchestratorClient, period: Callable[[], float]) -> AsyncGenerator[None, None]:
        """Ask, then tell of each change, without end; `period` gives the seconds between two looks where there is no watch.

        Raises ClientError, also when the connection breaks.
        """
        await self.refresh(client)
        yield
        self.is_told = True
        while True:
            if self.is_told:
                try:
                    async with aclosing(watch_cluster(client)) as frames:
                        async for frame in frames:
                            self.take(frame)
                            await self._ping(client)
                            yield
                except ClientError as error:
                    if error.status not in (404, 405, 410) and error.code != "BadAnswer":
                        raise
                    self.is_told = error.status == 410
            await asyncio.sleep(period())
            await self.refresh(client)
            yield

    async def refresh(self, client: OrchestratorClient) -> None:
        """Ask once. Raises ClientError."""
        self._pinged = began = self._clock()
        page = await self._list(client)
        self.rtt = self._clock() - began
        self._take_nodes((await client.nodes()).nodes)
        self.is_cut = bool(page.next_token)
        lines: dict[str, JobLine] = {}
        for job in page.items:
            if isinstance(job, ListedJob):
                lines[job.id] = line_of(job, job.summary, job.progress.retries, is_suspended=job.is_suspended)
                continue
            await self._ask(client, job)
            known = self._progress.get(job.id)
            lines[job.id] = line_of(job, known.summary if known else None, known.retries if known else None)
        self.jobs = {str(job.id): job for job in page.items}
        self.lines = lines
        self._note()

    async def _list(self, client: OrchestratorClient) -> JobList | ListedJobs:
        if self._has_summaries:
            try:
                return await client.jobs_with_summary(limit=NEWEST, is_reversed=True)
            except ClientError as error:
                if error.code != "BadAnswer":
                    raise
                self._has_summaries = False
        return await client.jobs(limit=NEWEST, is_reversed=True)

    def take(self, frame: ClusterFrame) -> None:
        """A line of the watch."""
        changed = {str(job.job_id): line_of_summary(job) for job in frame.jobs}
        self.lines = changed if frame.is_snapshot else self.lines | changed
        for job in changed:
            self.jobs.pop(job, None)
        gone = set(frame.gone_nodes)
        nodes = {node.info.node_id: node for node in self.nodes if node.info.node_id not in gone}
        nodes |= {node.info.node_id: node for node in frame.nodes}
        for name, at in frame.heard.items():
            if name in nodes:
                link = replace(nodes[name].connection_state, last_heartbeat=at)
                nodes[name] = replace(nodes[name], connection_state=link)
        self._take_nodes(nodes.values())
        self._note()

    def _take_nodes(self, nodes: Iterable[NodeState]) -> None:
        self.nodes = tuple(node for node in nodes if node.info.node_type == "Compute")

    def _note(self) -> None:
        now = self._clock()
        for line in self.lines.values():
            self.rates.note(line, now)
            self.pace.note(line, now)
        self.is_known = True

    async def _ping(self, client: OrchestratorClient) -> None:
        """Measure the round trip, now and then."""
        began = self._clock()
        if began - self._pinged > PINGS:
            self._pinged = began
            await client.alive()
            self.rtt = self._clock() - began

    async def _ask(self, client: OrchestratorClient, job: Job) -> None:
        known = self._progress.get(job.id)
        now = self._clock()
        if known is not None:
            is_fresh = now - known.asked < (10.0 if job.count > BIG else 0.5)
            is_over = job.state.state_type.is_terminal and known.modified == job.modify_time
            if is_fresh or is_over:
                return
        try:
            grid = await client.grid(job.id)
        except ClientError as error:
            if error.status == 404:
                return
            raise
        retries = sum(grid.attempts) - (len(grid.attempts) - grid.attempts.count(0))
        self._progress[job.id] = Progress(job.modify_time, now, grid.summary, retries)

    def nodes_text(self) -> str:
        """`12 nodes ok · 1 away`."""
        if not self.is_known:
            return ""
        here = sum(1 for node in self.nodes if node.connection is Connection.CONNECTED)
        away = len(self.nodes) - here
        pending = sum(1 for node in self.nodes if node.membership is Membership.PENDING)
        text = f"{here} node{'' if here == 1 else 's'} ok"
        return text + (f" · {away} away" if away else "") + (f" · {pending} pending" if pending else "")
