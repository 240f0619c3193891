"""Follows the cluster: its jobs, how far each has come, its nodes. Asks every two seconds; no terminal.

How far a job has come is asked for one by one where the list does not bring it: unfinished jobs each time, ended ones once.
"""

import time
from collections.abc import Callable, Mapping

import msgspec

from orchestrator.client import ClientError, OrchestratorClient
from orchestrator.contract.job import Job
from orchestrator.contract.node import Connection, Membership, NodeState
from tui.model.jobs import JobLine, Pace, RetryRate, line_of

NEWEST = 200
"""Jobs that are looked at."""
BIG = 20_000
"""Partitions from which on the grid of a job is asked for only every ten seconds."""


class Progress(msgspec.Struct, frozen=True):
    """How far a job had come when it was last asked."""

    modified: int
    asked: float
    summary: Mapping[str, int]
    retries: int


class Overview:
    """The newest jobs and all nodes. `refresh` asks once and raises ClientError; what was known stays."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.lines: dict[str, JobLine] = {}
        self.jobs: dict[str, Job] = {}
        self.nodes: tuple[NodeState, ...] = ()
        self.rates = RetryRate()
        self.pace = Pace()
        self.is_known = False
        """Whether it was ever asked with success."""
        self.is_cut = False
        """Whether there are older jobs."""
        self._progress: dict[str, Progress] = {}
        self._clock = clock

    async def refresh(self, client: OrchestratorClient) -> float:
        """Ask; returns the seconds of one short request."""
        began = self._clock()
        page = await client.jobs(limit=NEWEST, is_reversed=True)
        rtt = self._clock() - began
        nodes = await client.nodes()
        self.nodes = tuple(node for node in nodes.nodes if node.info.node_type == "Compute")
        self.is_cut = bool(page.next_token)
        for job in page.items:
            await self._ask(client, job)
        now = self._clock()
        self.jobs = {str(job.id): job for job in page.items}
        lines: dict[str, JobLine] = {}
        for job in page.items:
            known = self._progress.get(job.id)
            line = line_of(job, known.summary if known else None, known.retries if known else None)
            lines[job.id] = line
            self.rates.note(line, now)
            self.pace.note(line, now)
        self.lines = lines
        self.is_known = True
        return rtt

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
