"""What the routes work with: the reactor, the logs, the archives, and who this orchestrator is."""

import secrets
from pathlib import Path

from orchestrator.contract.execution import DesiredState
from orchestrator.contract.ids import ExecutionId, NodeId, Timestamp
from orchestrator.contract.node import BuildVersion, ComputeNodeInfo, NodeInfo, Resources
from orchestrator.core.cluster import JobEntry
from orchestrator.core.model import ExecutionRecord
from orchestrator.logbook import Logbook
from orchestrator.reactor import Reactor
from orchestrator.results import Results
from orchestrator.routes.progress import Summaries
from orchestrator.tokens import Tokens
from orchestrator.watch import ANY_JOB, ANY_NODE, job_bell, node_bell

VERSION = BuildVersion(
    major="1",
    minor="9",
    git_version="v1.9.3",
    git_commit="0" * 40,
    build_date="1970-01-01T00:00:00Z",
    goos="linux",
    goarch="amd64",
)
"""The Bacalhau whose API this is: its clients compare it with their own."""


class Backend:
    """One orchestrator as its routes see it. `follow_ends` has to run beside the reactor."""

    def __init__(self, reactor: Reactor, logs: Path, results: Results, node_id: NodeId, tokens: Tokens) -> None:
        self.reactor = reactor
        self.tokens = tokens
        self.logbook = Logbook(logs, reactor.store, self.followed)
        self.results = results
        self.summaries = Summaries(reactor)
        self.started = reactor.clock.now()
        self.info = info_of(node_id)
        self.secret = secrets.token_bytes(32)
        """With which tokens are made; of this process."""
        self.answered: dict[NodeId, tuple[str, int]] = {}
        """Of each node: the session that was answered last, and what `turn` was then."""
        self.arrivals: dict[NodeId, int] = {}
        """Syncs of each node so far."""
        self.is_closing = False
        """Whether the server is about to end: held answers and streams end."""
        self._followed: set[ExecutionId] = set()
        self.uploaded: set[ExecutionId] = set()
        """Executions with results here that had not ended when those were stored."""

    def close(self) -> None:
        """Answer everyone who waits: the server is about to end."""
        self.is_closing = True
        for node_id in self.reactor.cluster.nodes:
            self.reactor.bells.ring(node_bell(node_id))
        for job_id in self.reactor.cluster.jobs:
            self.reactor.bells.ring(job_bell(job_id))
        for key in (ANY_JOB, ANY_NODE):
            self.reactor.bells.ring(key)

    def followed(self, execution_id: ExecutionId) -> None:
        """Somebody begins or stops to follow an execution's log: its node is told."""
        if self.logbook.is_followed(execution_id):
            self._followed.add(execution_id)
        else:
            self._followed.discard(execution_id)
        execution = self.reactor.cluster.executions.get(execution_id)
        if execution:
            self.reactor.wake(execution.node_id)

    async def follow_ends(self) -> None:
        """Tell the logbook when executions that are followed have ended, and drop results that nobody accepted; never returns."""
        with self.reactor.bells.listen(ANY_JOB) as rung:
            while True:
                rung.clear()
                for execution_id in self._followed - self.reactor.cluster.executions.keys():
                    self.logbook.ended(execution_id)
                for execution_id in self.uploaded - self.reactor.cluster.executions.keys():
                    await self._judge_results(execution_id)
                await rung.wait()

    async def _judge_results(self, execution_id: ExecutionId) -> None:
        """An execution with results has ended: they stay only if they are its own published ones."""
        self.uploaded.discard(execution_id)
        record = await self.reactor.store.execution(execution_id)
        if record is None or record.published is None:
            await self.results.delete(execution_id)

    async def execution(self, execution_id: ExecutionId) -> ExecutionRecord | None:
        """An execution, from memory while it has not ended."""
        known = self.reactor.cluster.executions.get(execution_id)
        return known or await self.reactor.store.execution(execution_id)

    def cursor(self) -> str:
        """The text that names what is visible now."""
        return f"{self.reactor.start_id}.{self.reactor.commit}"

    def stopping(self, entry: JobEntry) -> list[int]:
        """Partitions of a job that are being stopped."""
        return self.reactor.cluster.stopping(entry)

    def is_stopping(self, entry: JobEntry, index: int) -> bool:
        """Whether a partition's execution should stop and has not been seen to end."""
        live = entry.live.get(index)
        return live is not None and self.reactor.cluster.executions[live].desired is DesiredState.STOPPED

    def now(self) -> Timestamp:
        """The time."""
        return self.reactor.clock.now()


def info_of(node_id: NodeId) -> NodeInfo:
    """The orchestrator as a node that runs nothing."""
    return NodeInfo(
        node_id=node_id,
        node_type="Requester",
        labels={"name": node_id, "os_arch": VERSION.goarch, "os_type": VERSION.goos},
        supported_protocols=("bprotocol/v2", "ncl/v1"),
        compute_node_info=ComputeNodeInfo(
            execution_engines=None,
            publishers=None,
            storage_sources=None,
            max_capacity=Resources(),
            queue_capacity=Resources(),
            available_capacity=Resources(),
            max_job_requirements=Resources(),
            running_executions=0,
            enqueued_executions=0,
            address="",
        ),
        bacalhau_version=VERSION,
    )
