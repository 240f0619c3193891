"""The one task that changes the cluster: inbox -> decide -> commit -> put -> wake.

Commands that arrive while a commit runs are carried out together in the next one. Nothing is visible before it is durable.
"""

import asyncio
import time
import uuid
from collections.abc import Callable

import msgspec
import structlog

from orchestrator.contract.ids import SECOND, JobId, NodeId, Timestamp, after
from orchestrator.core.byproducts import NODES, inputs_of, node_history
from orchestrator.core.cluster import Cluster, JobEntry
from orchestrator.core.commands import (
    Approve,
    Decision,
    DeleteNode,
    Drain,
    Reject,
    Reply,
    Rerun,
    Resume,
    Retry,
    Stop,
    StopPartitions,
    Submit,
    Suspend,
    Sync,
    Tick,
    Undrain,
)
from orchestrator.core.decide import conclude, decide
from orchestrator.core.draft import Draft
from orchestrator.core.model import NEVER, AnswerRecord
from orchestrator.core.nodes import LATE
from orchestrator.core.put import Put
from orchestrator.core.restore import filled, restore
from orchestrator.errors import AmbiguousJobError, JobNotFoundError, OrchestratorError, StoreError
from orchestrator.store.base import Store
from orchestrator.watch import ANY_JOB, ANY_NODE, Bells, ChangeLog, Latest, job_bell, node_bell

MOST_COMMANDS = 2000
"""Commands of one batch."""
MOST_DUE = 5000
"""Deadlines of one batch."""
MOST_SETTLED = 64
"""Settled jobs kept in memory because somebody asked for them."""
MOST_SLEEP = 60.0
"""Seconds; a sleep without a deadline is no longer than this."""

log = structlog.get_logger()


class Clock:
    """Wall time at the start plus CLOCK_BOOTTIME since, never below a given time: nobody can step it."""

    def __init__(self, floor: Timestamp = NEVER) -> None:
        self._offset = max(time.time_ns(), floor + 1) - time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def now(self) -> Timestamp:
        """The time; strictly positive steps are not promised, going back is excluded."""
        return Timestamp(self._offset + time.clock_gettime_ns(time.CLOCK_BOOTTIME))


class Once(msgspec.Struct, frozen=True):
    """A token with which a command is carried out once, and how its answer is kept."""

    token: str
    encode: Callable[[Reply], bytes]


class _Entry(msgspec.Struct):
    command: Decision
    future: "asyncio.Future[Reply | bytes]"
    once: Once | None


class Reactor:
    """Carries out commands one batch at a time. `start` before `run`; reads of `cluster` are always of committed state."""

    def __init__(
        self, store: Store, orchestrator_id: NodeId, *, lease: float, fence: float, approves_by_hand: bool = False
    ) -> None:
        self.store = store
        self.start_id = uuid.uuid4().hex[:12]
        """Of this process: cursors of another one mean nothing."""
        self.bells = Bells()
        self.clock = Clock()
        self.commit = 0
        """Number of the last commit."""
        self.latest = Latest(0)
        """Which jobs changed lately."""
        self._node_seq = 1
        self._orchestrator_id = orchestrator_id
        self._lease = lease
        self._fence = fence
        self._approves_by_hand = approves_by_hand
        self._cluster: Cluster | None = None
        self._inbox: list[_Entry] = []
        self._carried: list[_Entry] = []
        """Of the batch that is under way."""
        self._arrived = asyncio.Event()
        self._logs: dict[JobId, ChangeLog] = {}
        self._settled: dict[JobId, None] = {}
        self._wakes: dict[NodeId, int] = {}
        self._failed: Exception | None = None

    @property
    def cluster(self) -> Cluster:
        """What is unsettled. Not to be changed."""
        assert self._cluster is not None, "the reactor was not started"
        return self._cluster

    async def start(self) -> None:
        """Load what is unsettled. Raises StoreError."""
        snapshot = await self.store.load()
        self.commit = snapshot.commit
        self.latest = Latest(self.commit)
        self._node_seq = await self.store.next_seq(NODES)
        self.clock = Clock(snapshot.last_time)
        self._cluster = restore(
            snapshot,
            self._orchestrator_id,
            lease=self._lease,
            fence=self._fence,
            approves_by_hand=self._approves_by_hand,
            now=self.clock.now(),
        )
        for entry in self.cluster.jobs.values():
            self._logs[entry.id] = ChangeLog(entry.record.width, self.commit)
            self._keep_account(entry)

    async def carry_out(self, command: Decision) -> Reply:
        """Carry out a command; returns when its effect is durable and visible.

        Raises OrchestratorError as `decide` does.
        """
        reply = await self._enqueue(command, None)
        assert not isinstance(reply, bytes)
        return reply

    async def carry_out_once(self, command: Decision, token: str, encode: Callable[[Reply], bytes]) -> bytes:
        """Carry out a command unless one with this token was within 24 hours; the answer then is that one's, byte by byte."""
        if not token:
            return encode(await self.carry_out(command))
        reply = await self._enqueue(command, Once(token, encode))
        assert isinstance(reply, bytes)
        return reply

    async def entry(self, wanted: str, namespace: str = "") -> JobEntry:
        """The job that a name, an id or a short id means, in memory.

        Raises JobNotFoundError, AmbiguousJobError.
        """
        known = self.cluster.names.get((namespace or "default", wanted)) or JobId(wanted)
        entry = self.cluster.jobs.get(known)
        if entry is None:
            found = await self.store.find_jobs(wanted, namespace)
            if not found:
                raise JobNotFoundError(wanted)
            if len(found) > 1:
                raise AmbiguousJobError(wanted)
            entry = await self._load(found[0].job.id)
        if entry.id in self._settled:
            self._settled[entry.id] = self._settled.pop(entry.id)
        return entry

    def changes(self, job_id: JobId) -> ChangeLog:
        """What changed lately in a job that is in memory."""
        return self._logs[job_id]

    def wake(self, node_id: NodeId) -> None:
        """Answer a node's held sync now: something beside its assignments changed."""
        self._wakes[node_id] = self._wakes.get(node_id, 0) + 1
        self.bells.ring(node_bell(node_id))

    def turn(self, node_id: NodeId) -> int:
        """Differs from what it was whenever a held sync of the node has something new to tell."""
        return self.cluster.nodes[node_id].turn + self._wakes.get(node_id, 0)

    async def run(self) -> None:
        """Work until cancelled. Raises StoreError when a commit fails: the process must end then."""
        stalled = 0.0
        is_continuation = True
        try:
            while True:
                late = stalled + (0.0 if is_continuation else await self._sleep())
                began = self.clock.now()
                is_continuation = await self._batch(is_continuation=is_continuation, late_by=late)
                stalled = (self.clock.now() - began) / SECOND
        except Exception as error:
            self._failed = error
            raise
        finally:
            for entry in (*self._carried, *self._inbox):
                if self._failed is None:
                    entry.future.cancel()
                else:
                    self._refuse(entry, self._failed)
            self._inbox.clear()

    async def _enqueue(self, command: Decision, once: Once | None) -> Reply | bytes:
        if self._failed:
            raise self._failed
        future: asyncio.Future[Reply | bytes] = asyncio.get_running_loop().create_future()
        self._inbox.append(_Entry(command, future, once))
        self._arrived.set()
        return await future

    async def _sleep(self) -> float:
        """Wait for a command or a deadline; returns by how many seconds the deadline was overslept."""
        if self._inbox:
            return 0.0
        due = self.cluster.deadlines.next()
        began = self.clock.now()
        target = max(began, min(due or after(began, MOST_SLEEP), after(began, MOST_SLEEP)))
        self._arrived.clear()
        try:
            async with asyncio.timeout((target - began) / SECOND):
                await self._arrived.wait()
        except TimeoutError:
            pass
        return max(0.0, (self.clock.now() - target) / SECOND)

    async def _batch(self, *, is_continuation: bool, late_by: float) -> bool:
        """Carry out what has arrived and what is due; returns whether there is more to do at once."""
        self._carried, self._inbox = self._inbox[:MOST_COMMANDS], self._inbox[MOST_COMMANDS:]
        entries = await self._load_named(self._carried)
        draft = Draft(self.cluster, self.clock.now(), new_id)
        draft.is_continuation = is_continuation
        done, answers = self._decide(draft, entries)
        due = self.cluster.deadlines.take(draft.now, MOST_DUE)
        if due or late_by > LATE:
            decide(draft, Tick(due=tuple(due), late_by=late_by))
        conclude(draft)
        changes = draft.changes()
        changes.answers = list(answers.values())
        changes.inputs = inputs_of([entry.command for entry, _ in done], changes)
        lines = node_history(self.cluster, changes, draft.now, self._node_seq)
        changes.happenings = [*changes.happenings, *lines]
        self._node_seq += len(lines)
        if changes:
            await self.store.commit(changes, self.commit + 1, draft.now)
            self.commit += 1
        self._publish(draft.put())
        for entry, reply in done:
            self._answer(entry, reply)
        return draft.is_unfinished or bool(self._inbox)

    def _decide(
        self, draft: Draft, entries: list[_Entry]
    ) -> tuple[list[tuple[_Entry, Reply | bytes]], dict[str, AnswerRecord]]:
        """Decide each command; those that raise are answered at once and leave nothing in the draft."""
        done: list[tuple[_Entry, Reply | bytes]] = []
        answers: dict[str, AnswerRecord] = {}
        for entry in entries:
            once = entry.once
            if once and once.token in answers:
                done.append((entry, answers[once.token].body))
                continue
            mark = draft.mark()
            try:
                reply: Reply | bytes = decide(draft, entry.command)
                if once:
                    assert not isinstance(reply, bytes)
                    reply = once.encode(reply)
                    answers[once.token] = AnswerRecord(token=once.token, body=reply, time=draft.now)
            except OrchestratorError as error:
                draft.rollback(mark)
                self._refuse(entry, error)
                continue
            except Exception as error:
                log.exception("decision_failed", command=type(entry.command).__name__)
                draft.rollback(mark)
                self._refuse(entry, error)
                continue
            done.append((entry, reply))
        return done, answers

    def _answer(self, entry: _Entry, reply: Reply | bytes) -> None:
        if not entry.future.done():
            entry.future.set_result(reply)

    def _refuse(self, entry: _Entry, error: Exception) -> None:
        if not entry.future.done():
            entry.future.set_exception(error)

    def _publish(self, put: Put) -> None:
        """Tell everyone who waits what has changed."""
        cluster = self.cluster
        changed = {job_id: set(rows) for job_id, rows in put.rows.items()}
        for job_id, indices in put.stopping.items():
            changed.setdefault(job_id, set()).update(indices)
        for job_id in dict.fromkeys([*put.jobs, *changed]):
            entry = cluster.jobs[job_id]
            if job_id in put.whole or job_id not in self._logs:
                self._logs[job_id] = ChangeLog(entry.record.width, self.commit)
            else:
                count = entry.record.width
                self._logs[job_id].note(self.commit, (i for i in changed.get(job_id, ()) if i < count))
            self._keep_account(entry)
            self.latest.note(job_id, self.commit)
            self.bells.ring(job_bell(job_id))
        if put.jobs or changed:
            self.bells.ring(ANY_JOB)
        for node_id in put.nodes:
            self.bells.ring(node_bell(node_id))
        if put.nodes:
            self.bells.ring(ANY_NODE)
        self._evict()

    def _keep_account(self, entry: JobEntry) -> None:
        if entry.is_settled:
            self._settled[entry.id] = None
        else:
            self._settled.pop(entry.id, None)

    def _evict(self) -> None:
        """Forget the settled jobs that nobody asked for longest."""
        while len(self._settled) > MOST_SETTLED:
            job_id = next(iter(self._settled))
            del self._settled[job_id]
            if any(execution.job_id == job_id for execution in self.cluster.executions.values()):
                continue
            self.cluster.drop_job(job_id)
            self._logs.pop(job_id, None)
            self.bells.ring(job_bell(job_id))

    async def _load_named(self, entries: list[_Entry]) -> list[_Entry]:
        """Bring the jobs into memory that commands mean; those that mean none are refused and left out.

        A command that was carried out before is answered here: only now is it certain that no commit is under way that might
        be keeping its answer.
        """
        found: list[_Entry] = []
        for entry in entries:
            try:
                kept = await self.store.answer(entry.once.token) if entry.once else None
                if kept:
                    self._answer(entry, kept.body)
                    continue
                await self._load_for(entry.command)
            except OrchestratorError as error:
                self._refuse(entry, error)
                if isinstance(error, StoreError):
                    raise
            else:
                found.append(entry)
        return found

    async def _load_for(self, command: Decision) -> None:
        """Bring the job into memory that a command means."""
        match command:
            case Submit(job=job):
                if job.name and (job.namespace, job.name) not in self.cluster.names:
                    for found in await self.store.find_jobs(job.name, job.namespace):
                        if (found.job.name, found.job.namespace) == (job.name, job.namespace):
                            await self._load(found.job.id)
                if job.id and job.id not in self.cluster.jobs and await self.store.job(job.id):
                    await self._load(job.id)
            case (
                Stop(job_id=job_id)
                | Retry(job_id=job_id)
                | StopPartitions(job_id=job_id)
                | Rerun(job_id=job_id)
                | Suspend(job_id=job_id)
                | Resume(job_id=job_id)
            ):
                if job_id not in self.cluster.jobs:
                    await self._load(job_id)
            case Sync() | Tick() | Drain() | Undrain() | Approve() | Reject() | DeleteNode():
                return

    async def _load(self, job_id: JobId) -> JobEntry:
        """A settled job, from the store into memory. Raises JobNotFoundError."""
        known = self.cluster.jobs.get(job_id)
        if known:
            return known
        record = await self.store.job(job_id)
        if record is None:
            raise JobNotFoundError(job_id)
        rows = await self.store.partitions(job_id, record.job.version)
        # Beside the loop: a hundred thousand partitions take a third of a second.
        entry = await asyncio.to_thread(filled, record, await self.store.next_seq(job_id), rows)
        known = self.cluster.jobs.get(job_id)
        if known:
            return known
        self.cluster.add_job(entry)
        self._logs[job_id] = ChangeLog(record.width, self.commit)
        self._keep_account(entry)
        return entry


def new_id() -> str:
    """A random UUID as text."""
    return str(uuid.uuid4())
