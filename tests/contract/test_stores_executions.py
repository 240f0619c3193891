"""Promises of the store's protocol about executions and history, held by each implementation."""

from typing import Any

from orchestrator.contract.history import Level
from orchestrator.contract.ids import ExecutionId
from orchestrator.store.base import ExecutionQuery, HistoryQuery
from tests.contract.test_stores import DONE, FAILED, Subject, subject
from tests.helpers.records import (
    NOW,
    execution_id,
    execution_record,
    happening,
    job_id,
)

__all__ = ["subject"]


async def test_executions_are_listed_by_version_partition_and_either_time(subject: Subject) -> None:
    await subject.commit(
        executions=[
            execution_record(1, 0, created=NOW + 5, modified=NOW + 1),
            execution_record(2, 1, attempt=2, created=NOW + 3, modified=NOW + 2),
            execution_record(3, 1, attempt=1, created=NOW + 3, modified=NOW + 3),
            execution_record(4, 0, job_version=2, created=NOW + 9, modified=NOW + 4),
            execution_record(5, 0, job=2),
        ]
    )

    async def listed(**query: Any) -> list[int]:
        found = await subject.store.executions(ExecutionQuery(job_id=job_id(1), **query))
        return [int(record.id[-3:]) for record in found]

    assert await listed() == [3, 2, 1, 4]
    assert await listed(is_reversed=True) == [4, 1, 2, 3]
    assert await listed(version=1) == [3, 2, 1]
    assert await listed(index=0) == [1, 4]
    assert await listed(index=1, version=2) == []
    assert await listed(order_by="modified_at", limit=3) == [1, 2, 3]
    assert await subject.store.executions(ExecutionQuery(job_id=job_id(3))) == []


async def test_executions_by_id_are_those_that_exist(subject: Subject) -> None:
    await subject.commit(executions=[execution_record(n) for n in (1, 2, 3)])
    wanted = [execution_id(3), execution_id(1), execution_id(9), execution_id(3), ExecutionId("e-' OR 1=1")]
    found = await subject.store.executions_by_id(wanted)
    assert sorted(record.id for record in found) == [execution_id(1), execution_id(3)]
    assert await subject.store.executions_by_id([]) == []
    assert await subject.store.execution(execution_id(9)) is None


async def test_last_executions_and_failures_are_of_the_highest_attempt(subject: Subject) -> None:
    await subject.commit(
        executions=[
            execution_record(12, 7, attempt=2, state=FAILED),
            execution_record(11, 7, attempt=10, state=DONE),
            execution_record(10, 7, attempt=1, state=FAILED),
            execution_record(20, 2, state=FAILED),
            execution_record(30, 5, state=DONE),
            execution_record(40, 2, attempt=9, job_version=2, state=FAILED),
            execution_record(50, 2, job=2, state=FAILED),
        ]
    )
    last = await subject.store.last_executions(job_id(1), 1, [7, 99, 2, 7])
    assert [record.id for record in last] == [execution_id(20), execution_id(11)]
    assert await subject.store.last_executions(job_id(1), 1, []) == []
    failures = await subject.store.last_failures(job_id(1), 1)
    assert [record.id for record in failures] == [execution_id(20), execution_id(12)]


async def test_history_is_paged_by_number_and_tells_whether_more_follows(subject: Subject) -> None:
    e1, e2 = execution_id(1), execution_id(2)
    await subject.commit(
        happenings=[
            happening(3, level=Level.EXECUTION, execution_id=e2, time=NOW + 1),
            happening(1),
            happening(2, level=Level.EXECUTION, execution_id=e1),
            happening(4, job_version=2),
            happening(1, 2),
        ]
    )

    async def listed(**query: Any) -> tuple[list[int], bool]:
        lines, is_more = await subject.store.history(HistoryQuery(job_id=job_id(1), **query))
        return [line.seq for line in lines], is_more

    assert await listed() == ([1, 2, 3, 4], False)
    assert await listed(limit=2) == ([1, 2], True)
    assert await listed(limit=2, first_seq=3) == ([3, 4], False)
    assert await listed(first_seq=5) == ([], False)
    assert await listed(version=2) == ([4], False)
    assert await listed(level=Level.EXECUTION) == ([2, 3], False)
    assert await listed(level=Level.EXECUTION, limit=2) == ([2, 3], True)  # a line follows, though of the job
    assert await listed(level=Level.JOB, limit=2) == ([1, 4], False)
    assert await listed(execution_prefix=e2[:2]) == ([2, 3], False)
    assert await listed(execution_prefix=e2) == ([3], False)
    assert await listed(since=NOW + 2) == ([2, 4], False)
    assert await subject.store.next_seq(job_id(1)) == 5
    assert await subject.store.next_seq(job_id(9)) == 1
