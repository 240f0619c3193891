"""Batch jobs: each partition by itself, who pays for what, and how a job ends."""

import pytest

from orchestrator.contract.execution import Cause, ExecutionState
from orchestrator.contract.job import Backoff, JobStateType, Retry, TimeoutConfig
from orchestrator.contract.partitions import PartitionState
from orchestrator.contract.units import format_duration
from orchestrator.core.model import PartitionRecord
from orchestrator.core.reconcile.batch import hash_of
from tests.helpers.harness import SimNode, World, a_job

STEADY = Backoff(initial=10, factor=2, max=300, jitter=False)


def a_world(*names: str, cpu: float = 2) -> tuple[World, list[SimNode]]:
    world = World()
    nodes = [SimNode(world, name, cpu=cpu) for name in names]
    for node in nodes:
        node.sync()
    return world, nodes


def messages(world: World) -> list[str]:
    return [line.message for line in world.happenings]


def test_a_bad_partition_harms_no_other() -> None:
    world, (node,) = a_world("n1", cpu=10)
    job_id = world.submit(a_job(count=100))
    for _ in range(100):
        node.sync()
        for execution_id in node.running():
            if world.executions[execution_id].index == 7:
                node.fail(execution_id)
            else:
                node.succeed(execution_id)
        world.pass_time(2)
    assert world.words(job_id) == "6" * 7 + "7" + "6" * 92
    job = world.cluster.jobs[job_id].record.job
    assert job.state.state_type is JobStateType.FAILED
    assert job.state.message == "1 of 100 partitions failed; partition 7: exit 7: boom"
    assert len(world.attempts(job_id, 7)) == 3
    assert "Partition 7 failed, out of attempts: 3 of 3" in messages(world)


def test_a_failed_partition_waits_its_backoff_as_retrying_while_the_job_runs() -> None:
    world, (node,) = a_world("n1")
    job_id = world.submit(a_job(count=1, retry=Retry(max_attempts=3, backoff=STEADY)))
    for wait in (10, 20):
        node.sync()
        node.fail(node.running()[0])
        node.sync()
        row = world.cluster.jobs[job_id].row(0)
        assert (row.state, row.retry_due) == (PartitionState.RETRYING, world.now + wait * 10**9)
        assert world.state(job_id) is JobStateType.RUNNING
        world.pass_time(wait - 1)
        assert world.words(job_id) == "2"
        world.pass_time(1)
        assert world.words(job_id) == "3"
    node.sync()
    node.fail(node.running()[0])
    node.sync()
    assert (world.words(job_id), world.state(job_id)) == ("7", JobStateType.FAILED)


def test_an_image_that_does_not_exist_fails_its_partition_at_once() -> None:
    world, (node,) = a_world("n1")
    job_id = world.submit(a_job(count=1, retry=Retry(max_attempts=9)))
    node.sync()
    node.fail(node.running()[0], Cause.IMAGE, None)
    node.sync()
    assert (world.words(job_id), len(world.attempts(job_id, 0))) == ("7", 1)


def test_a_node_that_is_lost_five_times_costs_the_task_nothing() -> None:
    world, (node,) = a_world("n1")
    job_id = world.submit(a_job(count=1, retry=Retry(max_attempts=1)))
    for _ in range(5):
        node.sync()
        node.sync()
        world.pass_time(31)
        node.restart(keeps=False)
    node.sync()
    node.sync()
    node.succeed(node.running()[0])
    node.sync()
    assert world.state(job_id) is JobStateType.COMPLETED
    row = world.cluster.jobs[job_id].row(0)
    assert (row.attempts, row.billed, row.lost) == (6, 0, 5)


def test_a_partition_that_is_lost_too_often_fails() -> None:
    world, (node,) = a_world("n1")
    job_id = world.submit(a_job(count=1, retry=Retry(max_attempts=1, max_lost=2)))
    for _ in range(3):
        node.sync()
        node.sync()
        world.pass_time(31)
        node.restart(keeps=False)
    assert world.words(job_id) == "7"
    assert "Partition 0 failed, lost too often: 3 times, MaxLost is 2" in messages(world)


def test_an_execution_that_never_ran_is_not_billed() -> None:
    world, (node,) = a_world("n1")
    job_id = world.submit(a_job(count=1, retry=Retry(max_attempts=1, max_lost=0)))
    for _ in range(4):
        node.restart(keeps=False)
        node.sync()
    row = world.cluster.jobs[job_id].row(0)
    assert [e.cause for e in world.attempts(job_id, 0)][:4] == [Cause.AGENT] * 4
    assert (row.attempts, row.billed, row.lost, row.state) == (5, 0, 0, PartitionState.ASSIGNED)


@pytest.mark.parametrize(
    ("cause", "billed", "lost"),
    [
        (cause, int(cause.payer == "task"), int(cause.payer == "ours"))
        for cause in Cause
        if cause not in (Cause.WITHDRAWN, Cause.SUPERSEDED)
    ],
)
def test_every_cause_is_kept_and_billed_to_who_pays(cause: Cause, billed: int, lost: int) -> None:
    world, (node,) = a_world("n1")
    job_id = world.submit(a_job(count=1))
    node.sync()
    node.sync()
    (execution_id,) = node.running()
    node.fail(execution_id, cause)
    node.sync()
    row = world.cluster.jobs[job_id].row(0)
    assert (row.billed, row.lost) == (billed, lost)
    ended = world.executions[execution_id]
    assert (ended.cause, ended.message, ended.exit_code, ended.state) == (cause, "boom", 7, ExecutionState.FAILED)


def test_an_end_without_a_word_about_how_is_ours_to_pay() -> None:
    world, (node,) = a_world("n1")
    job_id = world.submit(a_job(count=1))
    node.sync()
    (execution_id,) = node.running()
    node.reports[execution_id] = type(node.reports[execution_id])(
        execution_id=execution_id, state=ExecutionState.FAILED
    )
    node.sync()
    ended = world.executions[execution_id]
    assert (ended.cause, ended.message) == (Cause.AGENT, "the node reported an end without saying how")
    assert world.cluster.jobs[job_id].row(0).billed == 0


def test_a_job_of_no_partitions_completes_at_once() -> None:
    world = World()
    job_id = world.submit(a_job(count=0))
    assert world.state(job_id) is JobStateType.COMPLETED
    assert [line.message for line in world.happenings] == ["Job submitted", "Completed"]


def test_a_total_timeout_fails_the_job_and_keeps_what_is_complete() -> None:
    world, (node,) = a_world("n1", cpu=1)
    job_id = world.submit(a_job(count=3, timeouts=TimeoutConfig(total_timeout=60)))
    node.sync()
    node.succeed(node.running()[0])
    for _ in range(3):
        node.sync()
        world.pass_time(19.9)
    node.sync()
    assert world.words(job_id) == "641"
    world.pass_time(0.4)
    assert world.words(job_id) == "688"
    job = world.cluster.jobs[job_id].record.job
    assert job.state.state_type is JobStateType.FAILED
    assert job.state.message == "Job timed out. Job took longer than 1m0s"
    assert len(node.wanted()) == 0


def test_a_job_ends_in_one_revision_and_its_rows_are_written_out() -> None:
    world, (node,) = a_world("n1")
    job_id = world.submit(a_job(count=1))
    node.sync()
    (execution_id,) = node.running()
    node.succeed(execution_id)
    node.sync()
    assert world.partitions[job_id, 1, 0] == PartitionRecord(
        job_id=job_id,
        job_version=1,
        index=0,
        state=PartitionState.COMPLETED,
        attempts=1,
        accepted=execution_id,
        last_node=node.id,
    )
    job = world.jobs[job_id, 1].job
    assert (job.state.state_type, job.revision) == (JobStateType.COMPLETED, 3)
    assert messages(world) == [
        "Job submitted",
        "Running",
        "Requested execution on n1",
        "Running",
        "Completed successfully",
        "Completed",
    ]


@pytest.mark.parametrize(("seconds", "text"), [(5, "5s"), (60, "1m0s"), (3600, "1h0m0s"), (90_061, "25h1m1s")])
def test_durations_are_told_as_bacalhau_does(seconds: int, text: str) -> None:
    assert format_duration(seconds) == text


def test_a_hash_depends_on_the_text_alone() -> None:
    assert (hash_of(""), hash_of("a"), hash_of("foobar")) == (0x811C9DC5, 0xE40C292C, 0xBF9CF968)
