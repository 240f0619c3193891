"""A store in memory: the simplest thing that keeps every promise but durability. For tests and throw-away clusters."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

from orchestrator.contract.agent import Stream
from orchestrator.contract.execution import ExecutionState
from orchestrator.contract.ids import SECOND, ExecutionId, JobId, NodeId, Timestamp, short
from orchestrator.core.model import (
    NEVER,
    AnswerRecord,
    Changes,
    ExecutionRecord,
    Happening,
    InputsRecord,
    JobRecord,
    NodeRecord,
    PartitionRecord,
    Snapshot,
    TailRecord,
)
from orchestrator.store.base import EventQuery, ExecutionQuery, Glance, HistoryQuery, JobQuery, Tally

if TYPE_CHECKING:
    from orchestrator.contract.partitions import PartitionState

ANSWERS_KEPT = 24 * 3600 * SECOND
"""Nanoseconds."""


class MemoryStore:
    """Keeps the promises of `Store` as long as the object lives. It may be loaded again after `close`, as a restart."""

    def __init__(self) -> None:
        self._cluster_id = str(uuid.uuid4())
        self._commit = 0
        self._last_time = NEVER
        self._jobs: dict[JobId, dict[int, JobRecord]] = {}
        self._partitions: dict[tuple[JobId, int], dict[int, PartitionRecord]] = {}
        self._executions: dict[ExecutionId, ExecutionRecord] = {}
        self._executions_of: dict[JobId, dict[ExecutionId, None]] = {}
        self._history: dict[JobId, dict[int, Happening]] = {}
        self._nodes: dict[NodeId, NodeRecord] = {}
        self._tails: dict[ExecutionId, dict[Stream, TailRecord]] = {}
        self._inputs: dict[ExecutionId, InputsRecord] = {}
        self._answers: dict[str, AnswerRecord] = {}

    async def load(self) -> Snapshot:
        """What is unsettled."""
        executions = [execution for execution in self._executions.values() if not execution.state.is_terminal]
        wanted = {(execution.job_id, execution.job_version) for execution in executions}
        held = {execution.job_id for execution in executions}
        wanted |= {
            (record.job.id, record.job.version)
            for record in self._latest()
            if record.job.id in held or not _is_ended(record)
        }
        return Snapshot(
            cluster_id=self._cluster_id,
            commit=self._commit,
            last_time=self._last_time,
            jobs=[self._jobs[job_id][version] for job_id, version in sorted(wanted)],
            partitions=[record for key in sorted(wanted) for record in await self.partitions(*key)],
            executions=executions,
            nodes=list(self._nodes.values()),
            next_seqs={job_id: await self.next_seq(job_id) for job_id, _ in wanted},
        )

    async def commit(self, changes: Changes, number: int, now: Timestamp) -> None:
        """Take all of `changes`; nobody sees a part, as nothing here waits."""
        self._commit = number
        self._last_time = max(self._last_time, now)
        for job in changes.jobs:
            self._jobs.setdefault(job.job.id, {})[job.job.version] = job
        for partition in changes.partitions:
            place = (partition.job_id, partition.job_version)
            self._partitions.setdefault(place, {})[partition.index] = partition
        for execution in changes.executions:
            self._executions[execution.id] = execution
            self._executions_of.setdefault(execution.job_id, {})[execution.id] = None
        for happening in changes.happenings:
            self._history.setdefault(happening.job_id, {})[happening.seq] = happening
        for node in changes.nodes:
            self._nodes[node.id] = node
        for node_id in changes.deleted_nodes:
            self._nodes.pop(node_id, None)
        for tail in changes.tails:
            self._tails.setdefault(tail.execution_id, {})[tail.tail.stream] = tail
        for inputs in changes.inputs:
            self._inputs[inputs.execution_id] = inputs
        for answer in changes.answers:
            self._answers[answer.token] = answer
        for token in [token for token, answer in self._answers.items() if self._is_old(answer)]:
            del self._answers[token]

    async def close(self) -> None:
        """Nothing to finish: every commit was taken whole."""

    async def find_jobs(self, wanted: str, namespace: str) -> list[JobRecord]:
        """Latest versions by name, else by id, else by prefix of the id."""
        latest = sorted(self._latest(), key=lambda record: record.job.id)
        names = (wanted, namespace or "default")
        return (
            [record for record in latest if (record.job.name, record.job.namespace) == names]
            or [record for record in latest if record.job.id == wanted]
            or [record for record in latest if short(wanted) == wanted and record.job.id.startswith(wanted)][:2]
        )

    async def job(self, job_id: JobId, version: int = 0) -> JobRecord | None:
        """A version of a job; 0 = the latest."""
        versions = self._jobs.get(job_id, {})
        return versions.get(version or max(versions, default=0))

    async def versions(self, job_id: JobId) -> list[JobRecord]:
        """All versions, ascending."""
        return [record for _, record in sorted(self._jobs.get(job_id, {}).items())]

    async def jobs(self, query: JobQuery) -> tuple[list[JobRecord], bool]:
        """A page of jobs, and whether there are more."""
        is_created = {"created_at": True, "modified_at": False}[query.order_by]
        found = sorted(
            self._selected(query),
            key=lambda record: (record.job.create_time if is_created else record.job.modify_time, record.job.id),
            reverse=query.is_reversed,
        )[query.offset :]
        page = found[: query.limit or None]
        return page, len(page) < len(found)

    async def partitions(self, job_id: JobId, version: int) -> list[PartitionRecord]:
        """All touched partitions of a version, ascending."""
        return [record for _, record in sorted(self._partitions.get((job_id, version), {}).items())]

    async def tallies(self, job_id: JobId, version: int) -> list[Tally]:
        """The touched partitions of a version, counted by state."""
        found: dict[PartitionState, list[PartitionRecord]] = {}
        for record in self._partitions.get((job_id, version), {}).values():
            found.setdefault(record.state, []).append(record)
        return [
            Tally(
                state=state,
                partitions=len(records),
                attempts=sum(record.attempts for record in records),
                retries=sum(max(record.attempts - record.unbegun - 1, 0) for record in records),
            )
            for state, records in sorted(found.items())
        ]

    async def next_seq(self, job_id: JobId) -> int:
        """Number of the job's next line of history."""
        return max(self._history.get(job_id, {}), default=0) + 1

    async def execution(self, execution_id: ExecutionId) -> ExecutionRecord | None:
        """One execution, by its full id."""
        return self._executions.get(execution_id)

    async def executions(self, query: ExecutionQuery) -> list[ExecutionRecord]:
        """Executions of a job."""
        is_created = {"created_at": True, "modified_at": False}[query.order_by]
        found = sorted(
            self._of_job(
                query.job_id,
                lambda execution: (
                    (not query.version or execution.job_version == query.version)
                    and (query.index is None or execution.index == query.index)
                ),
            ),
            key=lambda it: (it.created if is_created else it.modified, it.index, it.attempt, it.job_version),
            reverse=query.is_reversed,
        )
        return found[: query.limit or None]

    async def execution_ids(self, query: ExecutionQuery) -> list[ExecutionId]:
        """Ids of what `executions` would give, in that order."""
        return [execution.id for execution in await self.executions(query)]

    async def executions_by_id(self, ids: Sequence[ExecutionId]) -> list[ExecutionRecord]:
        """Those of `ids` that exist."""
        return [
            self._executions[execution_id] for execution_id in dict.fromkeys(ids) if execution_id in self._executions
        ]

    async def last_executions(self, job_id: JobId, version: int, indices: Sequence[int]) -> list[ExecutionRecord]:
        """The latest execution of each of these partitions, ascending by index."""
        wanted = set(indices)
        return _last(self._of_job(job_id, lambda it: it.job_version == version and it.index in wanted))

    async def last_failures(self, job_id: JobId, version: int) -> list[ExecutionRecord]:
        """Of each partition that has any: its latest failed execution. Ascending by index."""
        failed = ExecutionState.FAILED
        return _last(self._of_job(job_id, lambda it: it.job_version == version and it.state is failed))

    async def glances(
        self, job_id: JobId, version: int, indices: Sequence[int] | None = None, *, is_failed: bool = False
    ) -> list[Glance]:
        """The latest execution, or the latest failed one, of each partition or of each of `indices`."""
        wanted = None if indices is None else set(indices)

        def is_wanted(it: ExecutionRecord) -> bool:
            is_right = it.job_version == version and (wanted is None or it.index in wanted)
            return is_right and (not is_failed or it.state is ExecutionState.FAILED)

        return [
            Glance(
                index=it.index, attempt=it.attempt, started=it.started, finished=it.finished, cause=it.cause,
                exit_code=it.exit_code, message=it.message,
            )
            for it in _last(self._of_job(job_id, is_wanted))
        ]  # fmt: skip

    async def events(self, query: EventQuery) -> list[Happening]:
        """Lines of history of everything, or of some namespaces."""
        place = attrgetter("time", "job_id", "seq")
        seen = {record.job.id for record in self._latest() if record.job.namespace in query.namespaces}
        histories = (lines for job, lines in self._history.items() if job in seen or not query.namespaces)
        lines = sorted((line for lines in histories for line in lines.values()), key=place)
        after = query.after
        if after is None:
            return lines[-query.limit :]
        return [line for line in lines if place(line) > after][: query.limit]

    async def history(self, query: HistoryQuery) -> tuple[list[Happening], bool]:
        """A page of history, and whether there are more lines of the job after it."""
        lines = self._history.get(query.job_id, {})
        found = [
            line
            for seq, line in sorted(lines.items())
            if seq >= query.first_seq
            and (not query.version or line.job_version == query.version)
            and (query.level is None or line.level is query.level)
            and line.execution_id.startswith(query.execution_prefix)
            and line.time >= query.since
        ]
        page = found[: query.limit or None]
        is_full = bool(query.limit) and len(page) == query.limit
        return page, is_full and max(lines) > page[-1].seq

    async def tails(self, execution_id: ExecutionId) -> list[TailRecord]:
        """The log tails that came with an execution's end."""
        return list(self._tails.get(execution_id, {}).values())

    async def inputs(self, ids: Sequence[ExecutionId]) -> list[InputsRecord]:
        """What these executions had as inputs."""
        return [self._inputs[execution_id] for execution_id in dict.fromkeys(ids) if execution_id in self._inputs]

    async def answer(self, token: str) -> AnswerRecord | None:
        """The kept answer to a request with this token, unless it is older than 24 hours."""
        answer = self._answers.get(token)
        return None if answer is None or self._is_old(answer) else answer

    def _is_old(self, answer: AnswerRecord) -> bool:
        return answer.time < self._last_time - ANSWERS_KEPT

    def _latest(self) -> Iterable[JobRecord]:
        return (versions[max(versions)] for versions in self._jobs.values())

    def _selected(self, query: JobQuery) -> Iterable[JobRecord]:
        return (
            record
            for record in self._latest()
            if (not query.namespaces or record.job.namespace in query.namespaces)
            and (query.selector is None or query.selector.matches(record.job.labels))
        )

    def _of_job(self, job_id: JobId, test: Callable[[ExecutionRecord], bool]) -> Iterable[ExecutionRecord]:
        return filter(test, (self._executions[execution_id] for execution_id in self._executions_of.get(job_id, {})))


def _is_ended(record: JobRecord) -> bool:
    return record.job.state.state_type.is_terminal


def _last(executions: Iterable[ExecutionRecord]) -> list[ExecutionRecord]:
    last: dict[int, ExecutionRecord] = {}
    for execution in executions:
        if execution.index not in last or last[execution.index].attempt < execution.attempt:
            last[execution.index] = execution
    return [last[index] for index in sorted(last)]
