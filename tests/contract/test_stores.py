"""Every promise of the store's protocol, held by each implementation: in memory, SQLite, SQLite opened anew each time."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.contract.agent import LogMark, LogTail, Stream
from orchestrator.contract.execution import Cause, ExecutionState, RunOutput
from orchestrator.contract.history import Level
from orchestrator.contract.ids import SECOND, NodeId, Timestamp
from orchestrator.contract.partitions import PartitionState
from orchestrator.contract.selectors import LabelSelector
from orchestrator.core.model import AnswerRecord, Changes, JobRecord, TailRecord
from orchestrator.store.base import ExecutionQuery, HistoryQuery, JobQuery, Store
from orchestrator.store.memory import MemoryStore
from orchestrator.store.sqlite import SqliteStore
from tests.helpers.records import (
    NOW,
    execution_id,
    execution_record,
    happening,
    job_id,
    job_record,
    node_record,
    partition_record,
    tail_record,
)

HOUR = 3600 * SECOND
FAILED = ExecutionState.FAILED
DONE = ExecutionState.COMPLETED


class Subject:
    """A store under test; with `is_reopened` each commit is followed by closing it and opening it again."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind = kind
        self.directory = directory
        self.number = 0
        self.store: Store

    async def open(self) -> None:
        self.store = MemoryStore() if self.kind == "memory" else await SqliteStore.open(self.directory)

    async def commit(self, now: Timestamp = NOW, **changes: list[Any]) -> None:
        self.number += 1
        await self.store.commit(Changes(**changes), self.number, now)
        if self.kind == "reopened":
            await self.store.close()
            await self.open()


@pytest.fixture(params=["memory", "sqlite", "reopened"])
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    subject = Subject(request.param, tmp_path / "data")
    await subject.open()
    yield subject
    await subject.store.close()


def ids(records: list[JobRecord]) -> list[str]:
    return [record.job.id for record in records]


async def test_new_store_is_empty_and_has_a_cluster_id_that_stays(subject: Subject) -> None:
    first = await subject.store.load()
    await subject.commit()
    second = await subject.store.load()
    assert first.cluster_id
    assert first.cluster_id == second.cluster_id
    assert (first.commit, first.last_time, first.jobs, first.executions, first.nodes) == (0, 0, [], [], [])


async def test_number_and_time_of_the_last_commit_are_kept_and_time_never_goes_back(subject: Subject) -> None:
    await subject.commit(NOW)
    await subject.commit(Timestamp(NOW - HOUR))
    snapshot = await subject.store.load()
    assert (snapshot.commit, snapshot.last_time) == (2, NOW)


async def test_every_field_of_every_record_comes_back(subject: Subject) -> None:
    job = job_record(labels={"a": "ä"}, meta={"k": ""})
    partition = partition_record(
        3, state=PartitionState.RETRYING, attempts=4, billed=2, lost=1, retry_due=NOW + 5, accepted=execution_id(9)
    )
    output = RunOutput(
        stdout="hi\n\x00", stdout_truncated=True, stderr="é", stderr_truncated=False, exit_code=7, error_msg="m"
    )
    execution = execution_record(
        state=FAILED,
        cause=Cause.EXIT,
        exit_code=7,
        run_output=output,
        message="exit 7",
        log_truncated=True,
        started=NOW,
    )
    line = happening(1, level=Level.EXECUTION, execution_id=execution_id(1), index=3, details={"Hint": "x"})
    node = node_record(last_error="e")
    mark = LogMark(offset=3, at=0.25)
    tail = TailRecord(
        execution_id=execution_id(1), tail=LogTail(stream=Stream.ERR, offset=2, content=b"\x00\xff", marks=(mark,))
    )
    answer = AnswerRecord(token="PUT /x t", body=b"\x00{}", time=NOW)
    await subject.commit(
        jobs=[job], partitions=[partition], executions=[execution], happenings=[line], nodes=[node], tails=[tail],
        answers=[answer],
    )  # fmt: skip
    store = subject.store
    assert await store.job(job_id(1)) == job
    assert await store.partitions(job_id(1), 1) == [partition]
    assert await store.execution(execution_id(1)) == execution
    assert await store.history(HistoryQuery(job_id=job_id(1))) == ([line], False)
    assert (await store.load()).nodes == [node]
    assert await store.tails(execution_id(1)) == [tail]
    assert await store.answer("PUT /x t") == answer


async def test_a_record_replaces_the_one_of_the_same_key(subject: Subject) -> None:
    old: dict[str, list[Any]] = {
        "jobs": [job_record()], "partitions": [partition_record()], "executions": [execution_record()],
        "happenings": [happening(1)], "nodes": [node_record()], "tails": [tail_record(content=b"old")],
        "answers": [AnswerRecord(token="t", body=b"old", time=NOW)],
    }  # fmt: skip
    new: dict[str, list[Any]] = {
        "jobs": [job_record(state="Failed", revision=2, modify_time=NOW + 9)],
        "partitions": [partition_record(state=PartitionState.FAILED, billed=3)],
        "executions": [execution_record(state=FAILED, revision=2, modified=NOW + 9)],
        "happenings": [happening(1, message="new")], "nodes": [node_record(last_error="new")],
        "tails": [tail_record(content=b"new")], "answers": [AnswerRecord(token="t", body=b"new", time=NOW)],
    }  # fmt: skip
    await subject.commit(NOW, **old)
    await subject.commit(NOW, **new)
    store = subject.store
    assert await store.versions(job_id(1)) == new["jobs"]
    assert await store.partitions(job_id(1), 1) == new["partitions"]
    assert await store.executions(ExecutionQuery(job_id=job_id(1))) == new["executions"]
    assert (await store.history(HistoryQuery(job_id=job_id(1))))[0] == new["happenings"]
    snapshot = await store.load()
    assert snapshot.nodes == new["nodes"]
    assert (snapshot.jobs, snapshot.executions, snapshot.partitions) == ([], [], [])
    assert await store.tails(execution_id(1)) == new["tails"]
    assert await store.answer("t") == new["answers"][0]


async def test_of_two_records_of_a_key_in_one_commit_the_later_stays(subject: Subject) -> None:
    await subject.commit(executions=[execution_record(), execution_record(state=DONE)])
    found = await subject.store.execution(execution_id(1))
    assert found is not None
    assert found.state is DONE


async def test_a_commit_of_thousands_of_records_is_kept_whole(subject: Subject) -> None:
    partitions = [partition_record(index) for index in range(3_001)]
    await subject.commit(jobs=[job_record()], partitions=partitions, happenings=[happening(n) for n in range(1, 778)])
    assert await subject.store.partitions(job_id(1), 1) == partitions
    assert await subject.store.next_seq(job_id(1)) == 778


async def test_load_has_unended_jobs_and_ended_ones_with_a_live_execution_and_no_others(subject: Subject) -> None:
    jobs = [
        job_record(1),
        job_record(2, state="Stopped"),
        job_record(3, state="Completed"),
        job_record(4, 1, "Stopped"),
    ]
    await subject.commit(
        jobs=[*jobs, job_record(4, 2, "Completed")],
        executions=[
            execution_record(1, job=1, state=DONE),
            execution_record(2, job=2, state=ExecutionState.PUBLISHING),
            execution_record(3, job=3, state=DONE),
            execution_record(4, job=4, state=ExecutionState.ASSIGNED),
        ],
        partitions=[partition_record(5, number) for number in (1, 2, 3, 4)] + [partition_record(6, 4, 2)],
        happenings=[happening(1, 1), happening(2, 1), happening(1, 3)],
    )
    snapshot = await subject.store.load()
    assert sorted((it.job.id, it.job.version) for it in snapshot.jobs) == [
        *((job_id(n), 1) for n in (1, 2, 4)),
        (job_id(4), 2),
    ]
    assert sorted(it.id for it in snapshot.executions) == [execution_id(2), execution_id(4)]
    assert sorted((it.job_id, it.index) for it in snapshot.partitions) == [
        *((job_id(n), 5) for n in (1, 2, 4)),
        (job_id(4), 6),
    ]
    assert snapshot.next_seqs == {job_id(1): 3, job_id(2): 1, job_id(4): 1}


async def test_an_older_version_is_unsettled_only_while_it_has_a_live_execution(subject: Subject) -> None:
    await subject.commit(jobs=[job_record(version=1)], executions=[execution_record(1)])
    await subject.commit(jobs=[job_record(version=2)])
    assert [it.job.version for it in (await subject.store.load()).jobs] == [1, 2]
    await subject.commit(jobs=[job_record(version=1, revision=5)], executions=[execution_record(1, state=DONE)])
    assert [it.job.version for it in (await subject.store.load()).jobs] == [2]


async def test_deleted_node_is_gone(subject: Subject) -> None:
    await subject.commit(nodes=[node_record("n1"), node_record("n2")])
    await subject.commit(deleted_nodes=[NodeId("n1"), NodeId("unknown")])
    assert [node.id for node in (await subject.store.load()).nodes] == ["n2"]


async def test_versions_ascend_and_zero_is_the_latest(subject: Subject) -> None:
    for version in (1, 2, 3):
        await subject.commit(jobs=[job_record(version=version, count=version)])
    store = subject.store
    assert [record.job.count for record in await store.versions(job_id(1))] == [1, 2, 3]
    for version, count in ((0, 3), (2, 2)):
        found = await store.job(job_id(1), version)
        assert found is not None
        assert found.job.count == count
    assert await store.job(job_id(1), 4) is None
    assert await store.job(job_id(2)) is None
    assert await store.versions(job_id(2)) == []


@pytest.mark.parametrize(
    ("wanted", "namespace", "found"),
    [
        ("job-1", "", [1]),
        ("job-1", "default", [1]),
        ("job-1", "other", [3]),
        ("job-2", "other", []),
        (job_id(2), "other", [2]),  # an id is of any namespace
        (job_id(10**11)[:-1], "", [10**11]),  # one letter short of a full id is a prefix
        ("j-0000", "", [1, 2]),  # two are enough to know
        ("j-", "", [1, 2]),
        ("j-00000000-0000-4000-8000-000000000099", "", []),  # a full id is no prefix
        ("00000000-0000-4000-8000-000000000001", "", []),
        ("j-zz", "", []),
        (job_id(1), "named", [4]),  # a name goes before an id
        ("%", "", []),
        ("j\udc80", "", []),
    ],
)
async def test_find_jobs(subject: Subject, wanted: str, namespace: str, found: list[int]) -> None:
    await subject.commit(
        jobs=[
            job_record(1),
            job_record(2),
            job_record(3, name="job-1", namespace="other"),
            job_record(4, name=job_id(1), namespace="named"),
            job_record(10**11),
        ]
    )
    assert ids(await subject.store.find_jobs(wanted, namespace)) == [job_id(number) for number in found]


async def test_find_jobs_answers_the_latest_version_once(subject: Subject) -> None:
    await subject.commit(jobs=[job_record(version=1), job_record(version=2)])
    for wanted in ("job-1", job_id(1), "j-0"):
        assert [record.job.version for record in await subject.store.find_jobs(wanted, "")] == [2]


async def test_jobs_are_listed_in_pages_by_either_time_both_ways(subject: Subject) -> None:
    await subject.commit(jobs=[job_record(n, modify_time=NOW - n) for n in (3, 1, 2, 4)])
    await subject.commit(jobs=[job_record(4, 2, modify_time=NOW - 4)])
    store = subject.store

    async def listed(**query: Any) -> tuple[list[int], bool]:
        found, is_more = await store.jobs(JobQuery(**query))
        return [int(record.job.name[4:]) for record in found], is_more

    assert await listed() == ([1, 2, 3, 4], False)
    assert await listed(is_reversed=True) == ([4, 3, 2, 1], False)
    assert await listed(order_by="modified_at") == ([4, 3, 2, 1], False)
    assert await listed(limit=2) == ([1, 2], True)
    assert await listed(limit=2, offset=2) == ([3, 4], False)
    assert await listed(limit=1, offset=1, is_reversed=True) == ([3], True)
    assert await listed(offset=9) == ([], False)


async def test_jobs_are_listed_by_namespaces_and_labels(subject: Subject) -> None:
    await subject.commit(
        jobs=[
            job_record(1, labels={"team": "a"}),
            job_record(2, labels={"team": "b"}),
            job_record(3, labels={"team": "a"}, namespace="other"),
            job_record(4),
        ]
    )
    team_a = LabelSelector.parse("team=a")
    for namespaces, selector, wanted in (
        ((), None, [1, 2, 3, 4]),
        (("other",), None, [3]),
        (("other", "default"), None, [1, 2, 3, 4]),
        (("unknown",), None, []),
        ((), team_a, [1, 3]),
        (("default",), team_a, [1]),
        ((), LabelSelector.parse("team!=a"), [2, 4]),
    ):
        found, is_more = await subject.store.jobs(JobQuery(namespaces=namespaces, selector=selector))
        assert (ids(found), is_more) == ([job_id(number) for number in wanted], False)
    for selector in (None, team_a):
        query = JobQuery(namespaces=("default", "other"), selector=selector, limit=1, is_reversed=True)
        wanted = [1, 3] if selector else [1, 2, 3, 4]
        for offset, number in enumerate(reversed(wanted)):
            page, is_more = await subject.store.jobs(msgspec.structs.replace(query, offset=offset))
            assert (ids(page), is_more) == ([job_id(number)], number != 1)


async def test_tails_are_those_of_the_execution(subject: Subject) -> None:
    tails = [tail_record(1, Stream.OUT, 5, b"out"), tail_record(1, Stream.ERR, 0, b"err")]
    await subject.commit(tails=[*tails, tail_record(2)])
    assert await subject.store.tails(execution_id(1)) == tails
    assert await subject.store.tails(execution_id(3)) == []


async def test_answer_is_kept_for_24_hours_of_commits(subject: Subject) -> None:
    await subject.commit(answers=[AnswerRecord(token="t", body=b"{}", time=NOW)])
    await subject.commit(Timestamp(NOW + 24 * HOUR))
    assert await subject.store.answer("t") is not None
    await subject.commit(Timestamp(NOW + 24 * HOUR + 1))
    assert await subject.store.answer("t") is None
    assert await subject.store.answer("other") is None


async def test_closing_twice_is_fine(subject: Subject) -> None:
    await subject.store.close()
    await subject.store.close()
