"""The cluster's watch: how far each job is and how nodes stand, as it changes."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.response import Stream
from msgspec.structs import replace

from orchestrator.auth import Principal
from orchestrator.contract.ids import SECOND, JobId, NodeId
from orchestrator.contract.node import NodeState
from orchestrator.contract.overview import ClusterFrame, JobSummary, Progress
from orchestrator.core.model import JobRecord
from orchestrator.errors import StaleCursorError
from orchestrator.routes.admission import refuse_other, visible_jobs
from orchestrator.routes.backend import Backend
from orchestrator.routes.nodes import all_nodes
from orchestrator.routes.watch import HEARTBEAT, commit_of
from orchestrator.routes.wire import HttpRequest, query
from orchestrator.store.base import JobQuery
from orchestrator.watch import ANY_JOB, ANY_NODE

PERIOD = 0.25
"""Seconds between two frames at least."""
BEAT = 2.0
"""Seconds between two words of when nodes were heard of."""
NEWEST = 500
"""Jobs that a snapshot begins with, beside those that have not ended."""
OWNER = "bacalhau.org/client.instance.id"


class ClusterWatchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """From where on. Without `after`: a snapshot, then what changes."""

    namespace: str = ""
    after: str = ""


@get("/api/v1/orchestrator/watch", query=ClusterWatchQuery, answer=ClusterFrame)
async def watch_cluster(request: HttpRequest, backend: NamedDependency[Backend]) -> Stream:
    """Summaries of jobs, and nodes, as they change, at most four times a second, without end. 410 as a job's watch."""
    asked = query(request.query_params, ClusterWatchQuery)
    who: Principal = request.scope["user"]
    if asked.namespace not in ("", "*"):
        refuse_other(who, asked.namespace, "read:job")
    commit = commit_of(backend, asked.after)
    if backend.reactor.latest.since(commit) is None:
        raise StaleCursorError
    watching = ClusterWatch(request, backend, asked.namespace, commit, is_new=not asked.after)
    return Stream(watching.frames(), media_type="application/x-ndjson")


class ClusterWatch:
    """One watch of the cluster."""

    def __init__(self, request: HttpRequest, backend: Backend, namespace: str, commit: int, *, is_new: bool) -> None:
        self._request = request
        self._backend = backend
        self._namespace = "" if namespace == "*" else namespace
        self._commit = commit
        self._is_new = is_new
        self._nodes: dict[NodeId, NodeState] = {}
        self._heard: dict[NodeId, str] = {}
        """When each node was heard of last, as far as that was told."""
        self._beat = 0
        """When that was told last."""
        self._left: deque[JobRecord] = deque()
        """Jobs of the snapshot that were not told yet."""

    async def frames(self) -> AsyncIterator[bytes]:
        """Lines of JSON; ends when so much changed that only a snapshot helps, or the server ends."""
        reactor = self._backend.reactor
        with reactor.bells.listen(ANY_JOB, ANY_NODE) as rung:
            if self._is_new:
                self._left = deque(await self._all_jobs())
                yield await self._frame(await self._some_left(), is_snapshot=True)
            else:
                yield await self._frame([])
            while not self._backend.is_closing:
                rung.clear()
                at = reactor.commit
                changed = reactor.latest.since(self._commit)
                if changed is None:
                    return
                self._commit = at
                jobs = [entry.record for job_id in changed if (entry := reactor.cluster.jobs.get(JobId(job_id)))]
                line = await self._frame(await self._summed(jobs) + await self._some_left())
                if line:
                    yield line
                if line or self._left:
                    await asyncio.sleep(0 if self._left else PERIOD)
                    continue
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        await rung.wait()
                except TimeoutError:
                    yield self._line(ClusterFrame(cursor=self._cursor()))

    async def _all_jobs(self) -> Iterable[JobRecord]:
        """Jobs that are in memory, then the newest others."""
        wanted = JobQuery(namespaces=(self._namespace,) if self._namespace else (), is_reversed=True, limit=NEWEST)
        newest, _ = await visible_jobs(self._request, self._backend, wanted)
        jobs = {entry.id: entry.record for entry in self._backend.reactor.cluster.jobs.values()}
        return (jobs | {record.job.id: record for record in newest if record.job.id not in jobs}).values()

    async def _some_left(self) -> list[JobSummary]:
        """As many of the snapshot's jobs as can be counted in a moment; ended ones are counted in the store."""
        found: list[JobSummary] = []
        began = self._backend.now()
        while self._left:
            found += await self._summed([self._left.popleft()])
            if self._backend.now() - began >= PERIOD * SECOND:
                break
        return found

    async def _summed(self, records: Iterable[JobRecord]) -> list[JobSummary]:
        who: Principal = self._request.scope["user"]
        wanted = [
            record
            for record in records
            if self._namespace in ("", record.job.namespace) and who.may_use(record.job.namespace)
        ]
        return [summary_line(*await self._backend.summaries.of(record)) for record in wanted]

    async def _frame(self, summaries: Sequence[JobSummary], *, is_snapshot: bool = False) -> bytes:
        """What changed, as a line; empty when nothing did and this is not the first one."""
        is_first = not self._nodes
        nodes = {node.info.node_id: node for node in all_nodes(self._backend)}
        changed = tuple(node for name, node in nodes.items() if still(node) != still(self._nodes.get(name)))
        gone = tuple(self._nodes.keys() - nodes.keys())
        heard = self._news_of(nodes)
        if not (summaries or changed or gone or heard or is_first):
            return b""
        self._nodes = nodes
        frame = ClusterFrame(
            cursor=self._cursor(),
            is_snapshot=is_snapshot,
            jobs=tuple(summaries),
            nodes=changed,
            gone_nodes=gone,
            heard=heard,
        )
        return self._line(frame)

    def _news_of(self, nodes: dict[NodeId, NodeState]) -> dict[NodeId, str]:
        """When nodes were heard of, of those that were since it was told; now and then, because every sync changes it."""
        now = self._backend.now()
        if now - self._beat < BEAT * SECOND:
            return {}
        before, self._beat = self._heard, now
        self._heard = {name: node.connection_state.last_heartbeat for name, node in nodes.items()}
        return {name: at for name, at in self._heard.items() if before.get(name, at) != at}

    def _cursor(self) -> str:
        """Where to go on; empty as long as the snapshot is not whole."""
        return "" if self._left else f"{self._backend.reactor.start_id}.{self._commit}"

    def _line(self, frame: ClusterFrame) -> bytes:
        return msgspec.json.encode(frame) + b"\n"


def still(node: NodeState | None) -> NodeState | None:
    """A node without what every sync changes."""
    if node is None:
        return None
    link = replace(node.connection_state, last_heartbeat="", last_compute_seq_num=0, last_orchestrator_seq_num=0)
    return replace(node, connection_state=link)


def summary_line(record: JobRecord, summary: dict[str, int], progress: Progress) -> JobSummary:
    """A job as a line of a list."""
    job = record.job
    return JobSummary(
        job_id=job.id,
        job_version=job.version,
        name=job.name,
        namespace=job.namespace,
        type=job.type.value,
        engine=job.task.engine.type,
        priority=job.priority,
        count=record.width,
        labels=job.labels,
        owner=job.meta.get(OWNER, ""),
        state=job.state.state_type.value,
        message=job.state.message,
        summary=summary,
        progress=progress,
        is_suspended=record.is_suspended,
        create_time=job.create_time,
        modify_time=job.modify_time,
    )
