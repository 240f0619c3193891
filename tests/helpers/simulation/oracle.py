"""What always holds. Asked at every commit, answer and start, and after every step."""

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from node.engines.base import Launch
from orchestrator.contract.agent import SyncRequest, SyncResponse
from orchestrator.contract.execution import Cause, ExecutionState, Payer
from orchestrator.contract.ids import SECOND, ExecutionId, JobId, NodeId, Timestamp
from orchestrator.contract.job import JobStateType
from orchestrator.contract.node import Connection, Resources
from orchestrator.contract.partitions import SETTLED, PartitionState
from orchestrator.core.cluster import NodeEntry
from orchestrator.core.draft import Put
from orchestrator.core.model import Changes, ExecutionRecord, JobRecord, PartitionRecord
from orchestrator.core.restore import restore
from orchestrator.core.retry import FINAL, IMMEDIATE
from orchestrator.reactor import Reactor

if TYPE_CHECKING:
    from tests.helpers.simulation.machine import Machine
    from tests.helpers.simulation.world import World

T = TypeVar("T")

FENCE_SLACK = 9.0
"""Seconds from the end of a fence until all is stopped: a look a second, then the grace of a program."""


class BrokenPromiseError(AssertionError):
    """Something that always holds does not."""


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    message = "it waits"
    raise AssertionError(message)


def total(needs: list[Resources]) -> tuple[float, int]:
    """CPU and memory of all of them, without the floor at zero that `Resources` has."""
    return round(sum(need.cpu for need in needs), 3), sum(need.memory for need in needs)


class Oracle:
    """Judges one history."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._started: set[ExecutionId] = set()
        self._finished: dict[ExecutionId, int] = {}
        """Exit codes of programs that ended by themselves."""
        self._words: dict[tuple[NodeId, str, int], SyncRequest] = {}
        """What each sync said."""
        self._seqs: dict[NodeId, tuple[Reactor, str, int]] = {}
        self._heard: dict[NodeId, tuple[Reactor, Timestamp]] = {}
        """When the orchestrator took in a sync of a node last."""
        self.retried: dict[JobId, int] = {}
        """Retries that somebody asked for, carried out or not."""
        self.retried_completed: set[JobId] = set()
        self._names: dict[str, JobId] = {}
        self._fresh: dict[tuple[JobId, int, int], int] = {}
        """The attempts that a partition had when it was retried last: they count no more."""
        self._unsure: set[JobId] = set()
        """Jobs whose retries may have been undone with an older store."""
        self._silenced: set[ExecutionId] = set()
        """Executions that were ended because their node does not name them: it must not start them any more."""
        self._ending: set[ExecutionId] = set()
        """Executions that the commit in hand ends."""

    def broken(self, what: str) -> None:
        """A promise is not kept."""
        raise BrokenPromiseError(what)

    def restored(self) -> None:
        """An older store is in place: what only the newer one knew means nothing now."""
        self._names.clear()
        self._silenced.clear()
        self._unsure |= self.retried.keys()

    # What agents do.

    def sent(self, machine: "Machine", request: SyncRequest) -> None:
        """An agent tells what it sees."""
        ids = [report.execution_id for report in request.reports]
        if len(ids) != len(set(ids)):
            self.broken(f"{machine.name} names an execution twice")

    def applies(self, machine: "Machine", response: SyncResponse) -> None:
        """An agent takes an answer: it is newer than the last one, and not older than a lease."""
        if response.seq <= machine.applied:
            self.broken(f"{machine.name} takes answer {response.seq} after {machine.applied}")
        machine.applied = response.seq
        age = self._world.time.now - machine.sent[response.seq]
        if age > response.lease_seconds:
            self.broken(f"{machine.name} takes an answer {age} s after it asked")

    def finished(self, execution_id: ExecutionId, exit_code: int) -> None:
        """A program ended by itself."""
        self._finished[execution_id] = exit_code

    def started(self, machine: "Machine", launch: Launch) -> None:
        """A program is started."""
        if launch.execution_id in self._started:
            self.broken(f"{launch.execution_id} is started a second time, on {machine.name}")
        if launch.execution_id in self._silenced:
            self.broken(f"{launch.execution_id} is started on {machine.name} after its silence was taken for an end")
        self._started.add(launch.execution_id)

    def holds_capacity(self, machine: "Machine") -> None:
        """All that runs on a machine fits it, whenever something was started there."""
        cpu, memory = total([program.launch.need for program in machine.running()])
        if cpu > machine.capacity.cpu or memory > machine.capacity.memory:
            self.broken(f"{machine.name} runs {cpu} CPU, {memory} bytes of {machine.capacity}")

    # What the orchestrator does.

    def arrives(self, node: NodeId, request: SyncRequest) -> None:
        """A sync reaches the orchestrator."""
        self._words[node, request.session, request.seq] = request

    def observed(self, node: NodeId, request: SyncRequest, reactor: Reactor) -> None:
        """A sync was carried out."""
        entry = reactor.cluster.nodes.get(node)
        if entry is not None and (entry.record.session, entry.seq) == (request.session, request.seq):
            self._heard[node] = (reactor, entry.record.last_sync)

    def answers(self, node: NodeId, response: SyncResponse) -> None:
        """A node is told what should run there: only what is durable."""
        store = self._world.orchestrator.durable
        if response.commit > store._commit:
            self.broken(f"{node} is told of commit {response.commit}, durable is {store._commit}")
        for assignment in response.assignments:
            record = store._executions.get(assignment.execution_id)
            if record is None:
                self.broken(f"{node} is asked to run {assignment.execution_id}, which is not durable")
            elif record.node_id != node:
                self.broken(f"{node} is asked to run {record.id} of {record.node_id}")

    def commits(self, changes: Changes, now: Timestamp) -> None:
        """A commit is about to become durable."""
        store = self._world.orchestrator.durable
        rows = {(row.job_id, row.job_version, row.index): row for row in changes.partitions}
        self._ending = {execution.id for execution in changes.executions if execution.state.is_terminal}
        ended = {execution.id: execution for execution in changes.executions}
        jobs = {(record.job.id, record.job.version): record for record in changes.jobs}
        for execution in changes.executions:
            old = store._executions.get(execution.id)
            if old is not None and old.state.is_terminal:
                self.broken(
                    f"{execution.id} was {old.state.name}, {old.cause} and is written again: {execution.state.name}"
                )
            if execution.cause is Cause.NODE_LOST and execution.state.is_terminal:
                self._judge_loss(execution, now)
            if execution.state is ExecutionState.COMPLETED and self._finished.get(execution.id) != 0:
                self.broken(
                    f"{execution.id} is completed, but its program ended with {self._finished.get(execution.id)}"
                )
            if old is None:
                self._judge_new(execution, rows, jobs)
        for row in changes.partitions:
            self._judge_row(row, ended, jobs)
        for record in changes.jobs:
            self._judge_job(record, rows)
            if self._names.setdefault(record.job.name, record.job.id) != record.job.id:
                self.broken(f"two jobs are called {record.job.name}")

    def _judge_loss(self, execution: ExecutionRecord, now: Timestamp) -> None:
        known = self._heard.get(execution.node_id)
        reactor = self._world.orchestrator.reactor
        if known is None or known[0] is not reactor or known[1] >= now:
            return
        if now - known[1] < (self._world.orchestrator.lease - 0.1) * SECOND:
            self.broken(f"{execution.id} is lost, but {execution.node_id} spoke {(now - known[1]) / SECOND} s ago")

    def _row(
        self, execution: ExecutionRecord, rows: dict[tuple[JobId, int, int], PartitionRecord]
    ) -> PartitionRecord | None:
        key = (execution.job_id, execution.job_version, execution.index)
        return rows.get(key) or self._world.orchestrator.durable._partitions.get(key[:2], {}).get(key[2])

    def _siblings(self, one: ExecutionRecord | PartitionRecord) -> list[ExecutionRecord]:
        store = self._world.orchestrator.durable
        return [
            other
            for other in (store._executions[e] for e in store._executions_of.get(one.job_id, ()))
            if (other.job_version, other.index) == (one.job_version, one.index)
        ]

    def _judge_new(
        self,
        execution: ExecutionRecord,
        rows: dict[tuple[JobId, int, int], PartitionRecord],
        jobs: dict[tuple[JobId, int], JobRecord],
    ) -> None:
        """A new execution: its partition needs one, and has a budget for it."""
        before = self._world.orchestrator.durable._partitions.get((execution.job_id, execution.job_version), {})
        was = before.get(execution.index)
        retried = self.retried.get(execution.job_id, 0)
        if (
            was is not None
            and was.state in (PartitionState.COMPLETED, PartitionState.FAILED, PartitionState.STOPPED)
            and not retried
        ):
            self.broken(f"{execution.id} runs partition {execution.index} again, which is {was.state.name}")
        siblings = self._siblings(execution)
        if any(other.attempt == execution.attempt for other in siblings):
            self.broken(f"{execution.id} is a second attempt {execution.attempt}")
        if any(not other.state.is_terminal for other in siblings):
            row = self._row(execution, rows)
            unfinished = [other.id for other in siblings if not other.state.is_terminal]
            ends = [e for e in unfinished if e in self._ending]
            if len(ends) < len(unfinished):
                self.broken(f"{execution.id} runs beside {unfinished}, {row}")
        job = self._world.orchestrator.durable._jobs.get(execution.job_id, {}).get(execution.job_version)
        record = jobs.get((execution.job_id, execution.job_version)) or job
        if record is None or execution.job_id in self._unsure:
            return
        key = (execution.job_id, execution.job_version, execution.index)
        if was is not None and was.state in SETTLED:
            self._fresh[key] = was.attempts
        siblings = [other for other in siblings if other.attempt > self._fresh.get(key, 0)]
        policy = record.job.retry_policy
        billed = [
            other
            for other in siblings
            if other.state is ExecutionState.FAILED and other.cause and other.cause.payer is Payer.TASK
        ]
        if len(billed) >= policy.max_attempts:
            self.broken(
                f"{execution.id}: attempt beyond MaxAttempts {policy.max_attempts}: {[o.cause for o in billed]}"
            )
        last = max(siblings, key=lambda other: other.attempt, default=None)
        if last is not None and not retried and last.state is ExecutionState.FAILED and last.cause not in IMMEDIATE:
            wait = (execution.created - last.modified) / SECOND
            least = min(policy.backoff.max, policy.backoff.initial) * 0.5
            if wait < least - 1e-6:
                self.broken(f"{execution.id}: retried after {wait} s, before its backoff of {least} s")

    def _judge_row(
        self,
        row: PartitionRecord,
        ended: dict[ExecutionId, ExecutionRecord],
        jobs: dict[tuple[JobId, int], JobRecord],
    ) -> None:
        store = self._world.orchestrator.durable
        old = store._partitions.get((row.job_id, row.job_version), {}).get(row.index)
        if old is not None and old.state is PartitionState.COMPLETED and row.job_id not in self.retried_completed:
            if row.state is not PartitionState.COMPLETED:
                self.broken(f"{row.job_id}/{row.index} was completed and is {row.state.name}")
            if row.accepted != old.accepted:
                self.broken(f"{row.job_id}/{row.index} has a second accepted success: {old.accepted}, {row.accepted}")
        if row.state is PartitionState.COMPLETED:
            accepted = ended.get(row.accepted) or store._executions.get(row.accepted)
            if accepted is None or accepted.state is not ExecutionState.COMPLETED:
                self.broken(f"{row.job_id}/{row.index} is completed by {accepted}")
            elif (accepted.job_id, accepted.job_version, accepted.index) != (row.job_id, row.job_version, row.index):
                self.broken(f"{row.job_id}/{row.index} is completed by another's {accepted.id}")
            completed = [e for e in self._siblings(row) if e.state is ExecutionState.COMPLETED and e.id != row.accepted]
            if completed and row.job_id not in self.retried_completed:
                self.broken(f"{row.job_id}/{row.index} has two successes")
        if old is not None and old.state in SETTLED and row.state not in SETTLED:
            self._fresh[row.job_id, row.job_version, row.index] = old.attempts
        if row.state is PartitionState.FAILED and row.job_id not in self._unsure:
            self._judge_given_up(row, ended, jobs)

    def _judge_given_up(
        self,
        row: PartitionRecord,
        ended: dict[ExecutionId, ExecutionRecord],
        jobs: dict[tuple[JobId, int], JobRecord],
    ) -> None:
        """A partition failed: it had all the attempts that its job allows."""
        store = self._world.orchestrator.durable
        record = jobs.get((row.job_id, row.job_version)) or store._jobs[row.job_id][row.job_version]
        policy = record.job.retry_policy
        attempts = {e.id: e for e in self._siblings(row)}
        attempts.update(
            {
                e.id: e
                for e in ended.values()
                if (e.job_id, e.job_version, e.index) == (row.job_id, row.job_version, row.index)
            }
        )
        least = self._fresh.get((row.job_id, row.job_version, row.index), 0)
        counted = [e for e in attempts.values() if e.attempt > least]
        causes = [e.cause for e in counted if e.state is ExecutionState.FAILED and e.cause]
        billed = sum(cause.payer is Payer.TASK for cause in causes)
        lost = sum(cause.payer is Payer.OURS for cause in causes)
        if billed < policy.max_attempts and lost <= policy.max_lost and not any(cause in FINAL for cause in causes):
            self.broken(f"{row.job_id}/{row.index} was given up after {causes} of {policy}")

    def _judge_job(self, record: JobRecord, rows: dict[tuple[JobId, int, int], PartitionRecord]) -> None:
        job = record.job
        if job.state.state_type is not JobStateType.COMPLETED:
            return
        stored = self._world.orchestrator.durable._partitions.get((job.id, job.version), {})
        for index in range(job.count):
            row = rows.get((job.id, job.version, index)) or stored.get(index)
            if row is None or row.state is not PartitionState.COMPLETED:
                self.broken(f"{job.id} is completed, partition {index} is not: {row}")

    # After every step.

    def step(self) -> None:
        """Look at everything that has no moment of its own."""
        world = self._world
        if world.time.problems:
            self.broken(world.time.problems[0])
        self._fences()

    def put(self, reactor: Reactor, put: Put) -> None:
        """What was committed is visible now."""
        cluster = reactor.cluster
        cluster.check()
        for node_id in put.nodes:
            node = cluster.nodes[node_id]
            session = node.record.session
            known = self._seqs.get(node_id)
            if known is not None and known[:2] == (reactor, session) and node.seq < known[2]:
                self.broken(f"{node_id}: sync {node.seq} was observed after {known[2]}")
            if known is not None and known[0] is reactor and known[1] != session:
                self._judge_handover(node, known[1])
            self._seqs[node_id] = (reactor, session, node.seq)
            word = self._words.get((node_id, session, node.seq))
            if word is not None and node.record.connection is Connection.CONNECTED:
                used = total([report.need for report in word.reports if report.need is not None])
                if used != (node.used.cpu, node.used.memory):
                    self.broken(f"{node_id} said {used} and is taken to use {node.used}")
        for execution in put.executions:
            node = cluster.nodes[execution.node_id]
            if execution.state.is_terminal and self._is_silent(node, execution):
                self._silenced.add(execution.id)
            if execution.revision == 1:
                self._judge_room(cluster.nodes[execution.node_id], execution.id)

    def _is_silent(self, node: NodeEntry, execution: ExecutionRecord) -> bool:
        """Whether an execution ended because the last sync of the session that it was given to did not name it."""
        if node.record.connection is not Connection.CONNECTED or node.record.session != execution.session:
            return False
        word = self._words.get((node.id, execution.session, node.seq))
        return word is not None and all(report.execution_id != execution.id for report in word.reports)

    def _judge_handover(self, node: NodeEntry, before: str) -> None:
        """A session got a node from another one: it is its successor, or the lease of that one was over."""
        word = self._words.get((node.id, node.record.session, node.seq))
        known = self._heard.get(node.id)
        if word is None or word.previous == before or known is None or known[0] is not self._world.orchestrator.reactor:
            return
        silence = (node.record.last_sync - known[1]) / SECOND
        if silence < self._world.orchestrator.lease:
            self.broken(f"{node.id} was taken from session {before} after {silence} s of silence")

    def _judge_room(self, node: NodeEntry, execution: ExecutionId) -> None:
        """What was just placed into room fits beside what the node says it uses and what it was asked for before."""
        if execution in node.backlog:
            return
        unnamed = [need for e, need in node.live.items() if e not in node.named and e not in node.backlog]
        cpu, memory = total([node.used, *unnamed])
        if cpu > node.capacity.cpu or memory > node.capacity.memory:
            self.broken(f"{node.id} is asked to run {cpu} CPU of {node.capacity.cpu} with {execution}: {node}")

    def outlives(self, reactor: Reactor) -> None:
        """What is in memory is what a restart would find, unless a commit is on its way."""
        store, cluster = self._world.orchestrator.durable, reactor.cluster
        if store._commit != reactor.commit:
            return
        snapshot = at_once(store.load())
        again = restore(snapshot, NodeId("orch"), lease=cluster.lease, fence=cluster.fence, now=reactor.clock.now())
        if again.executions != cluster.executions:
            self.broken(f"executions in memory and in the store differ: {again.executions} {cluster.executions}")
        for job_id, entry in again.jobs.items():
            ours = cluster.jobs[job_id]
            for name in (
                "record",
                "states",
                "has_record",
                "attempts",
                "billed",
                "lost",
                "due",
                "live",
                "counts",
                "next_seq",
            ):
                if getattr(entry, name) != getattr(ours, name):
                    self.broken(
                        f"{job_id}: {name} is {getattr(ours, name)} in memory, {getattr(entry, name)} in the store"
                    )
        live = {e for node in cluster.nodes.values() for e in node.live}
        if live != cluster.executions.keys() or again.hungry != cluster.hungry:
            self.broken("the indices in memory are not those of a restart")

    def _fences(self) -> None:
        world = self._world
        for machine in world.machines:
            if not machine.is_alive or machine.is_engine_away or machine.agent is None:
                continue
            if not any(program.launch.execution_id in machine.agent._held for program in machine.running()):
                continue
            silence = world.time.now - max(machine.heard, machine.woken)
            if silence > world.orchestrator.fence + FENCE_SLACK:
                self.broken(f"{machine.name} lets work run {silence} s after it last heard the orchestrator")
