"""What always holds of what is written: every commit is compared with what was durable before."""

from typing import TYPE_CHECKING, NoReturn

from orchestrator.contract.execution import Cause, ExecutionState, Payer
from orchestrator.contract.ids import SECOND, ExecutionId, JobId, NodeId, Timestamp
from orchestrator.contract.job import JobStateType
from orchestrator.contract.partitions import SETTLED, PartitionState
from orchestrator.core.model import Changes, ExecutionRecord, JobRecord, PartitionRecord
from orchestrator.core.retry import FINAL, IMMEDIATE
from orchestrator.reactor import Reactor

if TYPE_CHECKING:
    from tests.helpers.simulation.world import World


class BrokenPromiseError(AssertionError):
    """Something that always holds does not."""


def broken(what: str) -> NoReturn:
    """A promise is not kept."""
    raise BrokenPromiseError(what)


class Ledger:
    """Judges the commits of one history."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.finished: dict[ExecutionId, int] = {}
        """Exit codes of programs that ended by themselves."""
        self.heard: dict[NodeId, tuple[Reactor, Timestamp]] = {}
        """When the orchestrator took in a sync of a node last."""
        self.retried: dict[JobId, int] = {}
        """Retries that somebody asked for, carried out or not."""
        self.retried_completed: set[JobId] = set()
        self._names: dict[str, JobId] = {}
        self._fresh: dict[tuple[JobId, int, int], int] = {}
        """The attempts that a partition had when it was retried last: they count no more."""
        self._unsure: set[JobId] = set()
        """Jobs whose retries may have been undone with an older store."""
        self._ending: set[ExecutionId] = set()
        """Executions that the commit in hand ends."""

    def restored(self) -> None:
        """An older store is in place: what only the newer one knew means nothing now."""
        self._names.clear()
        self._unsure |= self.retried.keys()

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
                broken(f"{execution.id} was {old.state.name}, {old.cause} and is written again: {execution.state.name}")
            if execution.cause is Cause.NODE_LOST and execution.state.is_terminal:
                self._judge_loss(execution, now)
            if execution.state is ExecutionState.COMPLETED and self.finished.get(execution.id) != 0:
                broken(f"{execution.id} is completed, but its program ended with {self.finished.get(execution.id)}")
            if old is None:
                self._judge_new(execution, rows, jobs)
        for row in changes.partitions:
            self._judge_row(row, ended, jobs)
        for record in changes.jobs:
            self._judge_job(record, rows)
            if self._names.setdefault(record.job.name, record.job.id) != record.job.id:
                broken(f"two jobs are called {record.job.name}")

    def _judge_loss(self, execution: ExecutionRecord, now: Timestamp) -> None:
        known = self.heard.get(execution.node_id)
        reactor = self._world.orchestrator.reactor
        if known is None or known[0] is not reactor or known[1] >= now:
            return
        if now - known[1] < (self._world.orchestrator.lease - 0.1) * SECOND:
            broken(f"{execution.id} is lost, but {execution.node_id} spoke {(now - known[1]) / SECOND} s ago")

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
            broken(f"{execution.id} runs partition {execution.index} again, which is {was.state.name}")
        siblings = self._siblings(execution)
        if any(other.attempt == execution.attempt for other in siblings):
            broken(f"{execution.id} is a second attempt {execution.attempt}")
        if any(not other.state.is_terminal for other in siblings):
            row = self._row(execution, rows)
            unfinished = [other.id for other in siblings if not other.state.is_terminal]
            ends = [e for e in unfinished if e in self._ending]
            if len(ends) < len(unfinished):
                broken(f"{execution.id} runs beside {unfinished}, {row}")
        job = self._world.orchestrator.durable._jobs.get(execution.job_id, {}).get(execution.job_version)
        record = jobs.get((execution.job_id, execution.job_version)) or job
        if record is None or execution.job_id in self._unsure:
            return
        key = (execution.job_id, execution.job_version, execution.index)
        row = rows.get(key)
        if was is not None and was.state in SETTLED:
            self._fresh[key] = was.attempts
        elif retried and row is not None and row.billed == row.lost == 0:
            self._fresh[key] = execution.attempt - 1  # it failed for good and was retried in one batch
        siblings = [other for other in siblings if other.attempt > self._fresh.get(key, 0)]
        policy = record.job.retry_policy
        billed = [
            other
            for other in siblings
            if other.state is ExecutionState.FAILED and other.cause and other.cause.payer is Payer.TASK
        ]
        if len(billed) >= policy.max_attempts:
            broken(f"{execution.id}: attempt beyond MaxAttempts {policy.max_attempts}: {[o.cause for o in billed]}")
        last = max(siblings, key=lambda other: other.attempt, default=None)
        if last is not None and not retried and last.state is ExecutionState.FAILED and last.cause not in IMMEDIATE:
            wait = (execution.created - last.modified) / SECOND
            least = min(policy.backoff.max, policy.backoff.initial) * 0.5
            if wait < least - 1e-6:
                broken(f"{execution.id}: retried after {wait} s, before its backoff of {least} s")

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
                broken(f"{row.job_id}/{row.index} was completed and is {row.state.name}")
            if row.accepted != old.accepted:
                broken(f"{row.job_id}/{row.index} has a second accepted success: {old.accepted}, {row.accepted}")
        if row.state is PartitionState.COMPLETED:
            accepted = ended.get(row.accepted) or store._executions.get(row.accepted)
            if accepted is None or accepted.state is not ExecutionState.COMPLETED:
                broken(f"{row.job_id}/{row.index} is completed by {accepted}")
            elif (accepted.job_id, accepted.job_version, accepted.index) != (row.job_id, row.job_version, row.index):
                broken(f"{row.job_id}/{row.index} is completed by another's {accepted.id}")
            completed = [e for e in self._siblings(row) if e.state is ExecutionState.COMPLETED and e.id != row.accepted]
            if completed and row.job_id not in self.retried_completed:
                broken(f"{row.job_id}/{row.index} has two successes")
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
            broken(f"{row.job_id}/{row.index} was given up after {causes} of {policy}")

    def _judge_job(self, record: JobRecord, rows: dict[tuple[JobId, int, int], PartitionRecord]) -> None:
        job = record.job
        if job.state.state_type is not JobStateType.COMPLETED:
            return
        stored = self._world.orchestrator.durable._partitions.get((job.id, job.version), {})
        for index in range(job.count):
            row = rows.get((job.id, job.version, index)) or stored.get(index)
            if row is None or row.state is not PartitionState.COMPLETED:
                broken(f"{job.id} is completed, partition {index} is not: {row}")
