"""Commands: submit, update, stop, retry - what each writes, and what it costs."""

from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.contract.execution import Cause, DesiredState, ExecutionState
from orchestrator.contract.ids import JobId
from orchestrator.contract.job import JobStateType, Retry, TimeoutConfig
from orchestrator.core.commands import Acted, Evaluated, Stop, StopPartitions, Submit, Submitted, Sync
from orchestrator.core.commands import Retry as RetryPartitions
from orchestrator.errors import CannotStopError, NoChangesError
from tests.helpers.harness import START, SimNode, World, a_job

ALL = (range(10**6),)


def a_world(cpu: float = 2) -> tuple[World, SimNode]:
    world = World()
    node = SimNode(world, "n1", cpu=cpu)
    node.sync()
    return world, node


def retry(world: World, job_id: JobId, *partitions: range, **fields: Any) -> Acted:
    (reply,) = world.do(RetryPartitions(job_id=job_id, partitions=partitions or ALL, **fields))
    assert isinstance(reply, Acted)
    return reply


def failed_world(count: int = 3, attempts: int = 1) -> tuple[World, SimNode, JobId]:
    """A job of which partition 1 failed and the others completed."""
    world, node = a_world(cpu=count)
    retries = Retry(max_attempts=attempts)
    job_id = world.submit(a_job(count=count, retry=retries, timeouts=TimeoutConfig(total_timeout=500)))
    for _ in range(attempts):
        node.sync()
        for execution_id in node.running():
            if world.executions[execution_id].index == 1:
                node.fail(execution_id)
            else:
                node.succeed(execution_id)
        node.sync()
        world.pass_time(5)
    node.sync()
    return world, node, job_id


def test_a_new_job_has_an_id_a_name_and_says_who_took_it() -> None:
    world = World()
    (reply,) = world.do(Submit(job=a_job("census", count=2)))
    assert isinstance(reply, Submitted)
    job = world.jobs[reply.job_id, 1].job
    assert (job.id[:2], job.name, job.version, job.create_time) == ("j-", "census", 1, START)
    assert reply.evaluation_id
    assert job.meta["bacalhau.org/requester.id"] == "orch"
    nameless = world.submit(a_job(""))
    assert world.jobs[nameless, 1].job.name == nameless


def test_the_same_job_again_is_refused_and_nothing_is_written() -> None:
    world = World()
    world.submit(a_job("a"))
    commits = world.commits
    with pytest.raises(NoChangesError, match=r"no changes detected for new job spec\. Job Name: 'a'"):
        world.submit(a_job("a"))
    assert world.commits == commits


def test_the_same_name_in_another_namespace_is_another_job() -> None:
    world = World()
    first = world.submit(a_job("a"))
    assert world.submit(replace(a_job("a"), namespace="other")) != first


def test_a_forced_update_begins_a_new_version_and_keeps_what_identifies_the_job() -> None:
    world, _ = a_world()
    job_id = world.submit(a_job("a", count=3))
    world.pass_time(3)
    (reply,) = world.do(Submit(job=a_job("a", count=3), is_forced=True))
    assert (reply.job_id, reply.version) == (job_id, 2)  # type: ignore[union-attr]
    old, new = world.jobs[job_id, 1].job, world.jobs[job_id, 2].job
    assert (new.create_time, new.modify_time) == (old.create_time, world.now)
    assert new.revision > old.revision
    assert old.version == 1


def test_a_changed_job_is_an_update_without_force() -> None:
    world, _ = a_world()
    job_id = world.submit(a_job("a", count=3))
    assert world.submit(a_job("a", count=5)) == job_id
    assert len(world.words(job_id)) == 5


def test_an_update_stops_what_the_older_version_runs_and_runs_every_partition_anew() -> None:
    world, node = a_world()
    job_id = world.submit(a_job("a", count=2))
    node.sync()
    node.succeed(node.running()[0])
    node.sync()
    world.do(Submit(job=a_job("a", count=2), is_forced=True))
    old = [e for e in world.executions.values() if e.job_version == 1 and not e.state.is_terminal]
    assert [(e.desired, e.desired_message) for e in old] == [(DesiredState.STOPPED, "Execution stopped for job update")]
    assert "6" not in world.words(job_id)
    node.finish_all()
    assert world.words(job_id) == "66"
    assert world.partitions[job_id, 1, 0].accepted != world.partitions[job_id, 2, 0].accepted


def test_several_updates_in_one_batch_leave_the_last_one_and_all_versions() -> None:
    world, node = a_world()
    job_id = world.submit(a_job("a", count=1))
    world.do(*(Submit(job=a_job("a", count=count)) for count in (2, 3, 4)))
    assert [version for known, version in world.jobs if known == job_id] == [1, 2, 3, 4]
    assert len(world.words(job_id)) == 4
    assert [record.job.count for record in world.jobs.values()] == [1, 2, 3, 4]
    seqs = [line.seq for line in world.happenings if line.job_id == job_id]
    assert seqs == list(range(1, len(seqs) + 1)), "lines of history are numbered without a gap"
    node.finish_all()
    assert world.words(job_id) == "6666"


def test_a_job_that_came_and_was_updated_in_the_same_batch() -> None:
    world, node = a_world()
    first, second = world.do(Submit(job=a_job("a", count=1)), Submit(job=a_job("a", count=2)))
    assert first.job_id == second.job_id  # type: ignore[union-attr]
    assert sorted(version for _, version in world.jobs) == [1, 2]
    node.finish_all()
    assert {e.job_version for e in world.executions.values()} == {2}


def test_what_a_node_said_just_before_an_update_is_kept_for_the_older_version() -> None:
    world, node = a_world()
    job_id = world.submit(a_job("a", count=1))
    node.sync()
    node.succeed(node.running()[0])
    world.do(Sync(node_id=node.id, request=node.request()), Submit(job=a_job("a", count=2)))
    (first,) = [e for e in world.executions.values() if e.job_version == 1]
    assert first.state is ExecutionState.COMPLETED
    assert world.partitions[job_id, 1, 0].accepted == first.id


def test_stop_is_at_once_and_the_stopping_bit_stays_until_the_node_says_so() -> None:
    world, node = a_world()
    job_id = world.submit(a_job(count=5))
    node.sync()
    node.sync()
    world.do(Stop(job_id=job_id, reason="enough"))
    entry = world.cluster.jobs[job_id]
    assert (world.state(job_id), world.words(job_id)) == (JobStateType.STOPPED, "88888")
    assert entry.record.job.state.message == "enough"
    assert entry.packed_states(world.cluster.stopping(entry)) == bytes([136, 136, 8, 8, 8])
    node.sync()
    node.sync()
    assert entry.packed_states(world.cluster.stopping(entry)) == bytes([8] * 5)
    assert {e.cause for e in world.executions.values()} == {Cause.CANCELLED}
    assert entry.is_settled


def test_stopping_twice_is_fine_and_stopping_what_ended_is_not() -> None:
    world, node, failed = failed_world()
    stopped = world.submit(a_job(count=1))
    world.do(Stop(job_id=stopped, reason=""))
    commits = world.commits
    assert world.do(Stop(job_id=stopped, reason="")) == [Evaluated(evaluation_id="")]
    assert world.commits == commits
    with pytest.raises(CannotStopError, match=f"job {failed} is in terminal state Failed"):
        world.do(Stop(job_id=failed, reason=""))
    done = world.submit(a_job(count=1))
    node.finish_all()
    with pytest.raises(CannotStopError, match="cannot stop job in state Completed"):
        world.do(Stop(job_id=done, reason=""))


def test_retry_runs_only_the_failed_ones_in_the_same_job_with_fresh_budgets() -> None:
    world, node, job_id = failed_world(attempts=2)
    assert (world.words(job_id), world.state(job_id)) == ("676", JobStateType.FAILED)
    before = dict(world.executions)
    reply = retry(world, job_id)
    assert (reply.count, reply.by_state) == (1, {"failed": 1})
    assert reply.evaluation_id
    assert (world.state(job_id), world.words(job_id)) == (JobStateType.RUNNING, "636")
    row = world.cluster.jobs[job_id].row(1)
    assert (row.attempts, row.billed, row.lost) == (3, 0, 0)
    node.sync()
    node.fail(node.running()[0])
    node.sync()
    world.pass_time(5)
    assert world.words(job_id) == "636", "the second budget has two attempts, too"
    node.finish_all()
    assert (world.state(job_id), world.words(job_id)) == (JobStateType.COMPLETED, "666")
    assert [e.attempt for e in world.attempts(job_id, 1)] == [1, 2, 3, 4]
    assert {key: world.executions[key] for key in before} == before, "old attempts are kept"


def test_a_retry_of_an_ended_job_starts_its_total_timeout_again() -> None:
    world, node, job_id = failed_world()
    for _ in range(28):
        world.pass_time(20)
        node.sync()
    assert world.now - START > 500 * 10**9
    retry(world, job_id)
    node.sync()
    assert world.state(job_id) is JobStateType.RUNNING
    assert world.jobs[job_id, 1].began == world.now
    for _ in range(25):
        world.pass_time(20)
        node.sync()
    assert (world.state(job_id), world.words(job_id)) == (JobStateType.FAILED, "686")


def test_a_job_that_fails_again_names_its_new_failure() -> None:
    world, node, job_id = failed_world()
    retry(world, job_id)
    node.sync()
    node.fail(node.running()[0], Cause.OOM, 137)
    node.sync()
    message = world.cluster.jobs[job_id].record.job.state.message
    assert message == "1 of 3 partitions failed; partition 1: oom 137: boom"


def test_completed_ones_are_taken_only_when_asked_for() -> None:
    world, node, job_id = failed_world()
    assert retry(world, job_id, range(1)).count == 0
    assert world.state(job_id) is JobStateType.FAILED
    assert retry(world, job_id, range(2), include_completed=True).by_state == {"completed": 1, "failed": 1}
    node.finish_all()
    assert (world.words(job_id), len(world.attempts(job_id, 0))) == ("666", 2)


@pytest.mark.parametrize("is_retry", [False, True])
def test_a_dry_run_counts_and_writes_nothing(*, is_retry: bool) -> None:
    world, node, job_id = failed_world()
    if is_retry:
        commits = world.commits
        reply: object = retry(world, job_id, is_dry_run=True)
        assert reply == Acted(count=1, by_state={"failed": 1})
    else:
        job_id = world.submit(a_job(count=5))
        node.sync()
        commits = world.commits
        (reply,) = world.do(StopPartitions(job_id=job_id, partitions=(range(1, 9),), is_dry_run=True))
        assert reply == Acted(count=4, by_state={"assigned": 2, "waiting": 2})
    assert world.commits == commits


def test_stopping_some_partitions_leaves_the_others_alone() -> None:
    world, node = a_world()
    job_id = world.submit(a_job(count=4))
    node.sync()
    node.sync()
    (reply,) = world.do(StopPartitions(job_id=job_id, partitions=(range(2), range(3, 4)), reason="skip"))
    assert reply.by_state == {"running": 2, "waiting": 1}  # type: ignore[union-attr]
    assert (world.words(job_id), world.state(job_id)) == ("8818", JobStateType.QUEUED)
    node.finish_all()
    assert (world.words(job_id), world.state(job_id)) == ("8868", JobStateType.STOPPED)
    assert world.cluster.jobs[job_id].record.job.state.message == "3 of 4 partitions were stopped"
    assert retry(world, job_id).count == 3
    node.finish_all()
    assert (world.words(job_id), world.state(job_id)) == ("6666", JobStateType.COMPLETED)


MANY = 100_000


def test_stop_and_retry_of_untouched_partitions_write_one_record_whatever_their_number() -> None:
    world = World()
    job_id = world.submit(a_job(count=MANY))
    world.do(Stop(job_id=job_id, reason=""))
    assert (len(world.last.jobs), world.last.partitions) == (1, [])
    assert world.cluster.jobs[job_id].counts[8] == MANY
    assert retry(world, job_id).count == MANY
    assert (len(world.last.jobs), world.last.partitions) == (1, [])
    assert world.cluster.jobs[job_id].counts[1] == MANY
    world.do(StopPartitions(job_id=job_id, partitions=ALL))
    assert (len(world.last.jobs), world.last.partitions) == (1, [])
    assert world.state(job_id) is JobStateType.STOPPED


def test_touched_and_untouched_ones_go_together() -> None:
    world, node = a_world()
    job_id = world.submit(a_job(count=1000))
    node.sync()
    node.sync()
    node.succeed(node.running()[0])
    node.sync()
    world.do(Stop(job_id=job_id, reason=""))
    assert (len(world.last.jobs), len(world.last.partitions)) == (1, 2)
    assert world.words(job_id) == "6" + "8" * 999
    node.sync()
    node.sync()
    assert retry(world, job_id).count == 999
    node.finish_all()
    assert world.words(job_id) == "6" * 1000


def test_stop_retry_and_stop_of_all_in_one_batch() -> None:
    world, node = a_world()
    job_id = world.submit(a_job(count=50))
    node.sync()
    world.do(
        Stop(job_id=job_id, reason=""),
        RetryPartitions(job_id=job_id, partitions=ALL),
        StopPartitions(job_id=job_id, partitions=(range(10),)),
    )
    assert world.words(job_id)[:10] == "8" * 10
    node.finish_all()
    assert world.words(job_id) == "8" * 10 + "6" * 40
