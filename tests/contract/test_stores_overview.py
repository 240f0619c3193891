"""Promises of the store's protocol about what an overview needs, held by each implementation."""

from typing import Any

from orchestrator.contract.agent import InputObject, Inputs
from orchestrator.contract.execution import Cause
from orchestrator.contract.history import Level
from orchestrator.contract.ids import JobId, Timestamp
from orchestrator.contract.partitions import PartitionState
from orchestrator.core.model import Happening, InputsRecord
from orchestrator.store.base import EventQuery, ExecutionQuery, Glance, Tally
from tests.contract.test_stores import FAILED, Subject, subject
from tests.helpers.records import (
    NOW,
    execution_id,
    execution_record,
    happening,
    job_id,
    job_record,
    partition_record,
)

__all__ = ["subject"]


async def test_tallies_count_the_touched_partitions_of_a_version(subject: Subject) -> None:
    await subject.commit(
        partitions=[
            partition_record(0, state=PartitionState.FAILED, attempts=3),
            partition_record(1, state=PartitionState.FAILED, attempts=1),
            partition_record(2, state=PartitionState.STOPPED, attempts=0),
            partition_record(4, state=PartitionState.RETRYING, attempts=1, unbegun=1),
            partition_record(5, state=PartitionState.RETRYING, attempts=4, unbegun=1),
            partition_record(3, version=2),
            partition_record(3, number=2),
        ]
    )
    assert await subject.store.tallies(job_id(1), 1) == [
        Tally(state=PartitionState.RETRYING, partitions=2, attempts=5, retries=2),
        Tally(state=PartitionState.FAILED, partitions=2, attempts=4, retries=2),
        Tally(state=PartitionState.STOPPED, partitions=1, attempts=0, retries=0),
    ]
    assert await subject.store.tallies(job_id(9), 1) == []


async def test_glances_are_of_the_last_or_the_last_failed_execution(subject: Subject) -> None:
    failed: dict[str, Any] = {
        "state": FAILED,
        "cause": Cause.EXIT,
        "exit_code": 7,
        "message": "boom",
        "finished": NOW + 9,
    }
    await subject.commit(
        executions=[
            execution_record(1, 0, attempt=1, started=NOW, **failed),
            execution_record(2, 0, attempt=2, started=NOW + 10),
            execution_record(3, 4),
            execution_record(4, 5, job_version=2),
        ]
    )
    last = Glance(index=0, attempt=2, started=Timestamp(NOW + 10))
    other = Glance(index=4, attempt=1)
    first = Glance(
        index=0, attempt=1, started=NOW, finished=Timestamp(NOW + 9), cause=Cause.EXIT, exit_code=7, message="boom"
    )
    store = subject.store
    assert await store.glances(job_id(1), 1) == [last, other]
    assert await store.glances(job_id(1), 1, [4, 7, 4]) == [other]
    assert await store.glances(job_id(1), 1, []) == []
    assert await store.glances(job_id(1), 1, is_failed=True) == [first]
    assert await store.glances(job_id(1), 1, [4], is_failed=True) == []


async def test_ids_of_executions_come_in_the_order_of_the_executions(subject: Subject) -> None:
    await subject.commit(executions=[execution_record(3, 0), execution_record(1, 1), execution_record(2, 2, job=2)])
    for query in (
        ExecutionQuery(job_id=job_id(1)),
        ExecutionQuery(job_id=job_id(1), is_reversed=True),
        ExecutionQuery(job_id=job_id(1), limit=1),
        ExecutionQuery(job_id=job_id(1), index=1),
    ):
        found = [record.id for record in await subject.store.executions(query)]
        assert found
        assert await subject.store.execution_ids(query) == found


async def test_events_are_of_all_jobs_and_nodes_in_the_order_of_their_times(subject: Subject) -> None:
    node = Happening(
        job_id=JobId(""), seq=1, job_version=0, level=Level.NODE, topic="Node", message="joined", time=Timestamp(NOW + 2),
        details={"NodeID": "n1"},
    )  # fmt: skip
    late, early, other = happening(2, time=NOW + 3), happening(1), happening(1, 2, time=NOW + 3)
    await subject.commit(happenings=[late, early, other, node])
    store = subject.store
    assert await store.events(EventQuery()) == [early, node, late, other]
    assert await store.events(EventQuery(limit=2)) == [late, other]
    assert await store.events(EventQuery(after=(NOW + 2, "", 1), limit=1)) == [late]
    assert await store.events(EventQuery(after=(NOW + 3, job_id(1), 2))) == [other]
    assert await store.events(EventQuery(after=(NOW + 3, job_id(2), 1))) == []


async def test_events_of_namespaces_fill_a_page_with_those_of_their_jobs_alone(subject: Subject) -> None:
    node = Happening(job_id=JobId(""), seq=1, job_version=0, level=Level.NODE, topic="Node", message="", time=NOW)
    records = [job_record(number, namespace=name) for number, name in ((1, "a"), (2, "b"), (3, "c"))]
    records.append(job_record(1, 2, namespace="a"))
    lines = [happening(seq, number) for seq in (1, 2, 3) for number in (1, 2, 3)]
    await subject.commit(jobs=records, happenings=[node, *lines])
    store = subject.store
    ours = [line for line in lines if line.job_id != job_id(3)]
    assert await store.events(EventQuery(namespaces=("a", "b"))) == ours
    assert await store.events(EventQuery(namespaces=("a", "b"), limit=3)) == ours[-3:]
    assert await store.events(EventQuery(namespaces=("b",), after=(NOW, "", 0), limit=2)) == [lines[1], lines[4]]
    assert await store.events(EventQuery(namespaces=("c",), after=(NOW + 3, job_id(2), 3))) == [lines[8]]
    assert await store.events(EventQuery(namespaces=("d",))) == []


async def test_inputs_are_those_of_the_executions(subject: Subject) -> None:
    first = InputsRecord(
        execution_id=execution_id(1),
        inputs=Inputs(objects=(InputObject(name="/in/ä", size=5),), rest=3, rest_size=70),
    )
    second = InputsRecord(execution_id=execution_id(2), inputs=Inputs())
    await subject.commit(inputs=[first, second])
    assert await subject.store.inputs([execution_id(1), execution_id(3)]) == [first]
    assert await subject.store.inputs([]) == []
