"""What operators do to nodes and to jobs that go on: drain, approve, reject, delete, suspend, rerun."""

import pytest

from orchestrator.contract.execution import Cause, ExecutionState
from orchestrator.contract.ids import NodeId
from orchestrator.contract.job import JobStateType, Retry
from orchestrator.contract.node import Connection, Membership
from orchestrator.core.commands import (
    Acted,
    Approve,
    DeleteNode,
    Drain,
    Evaluated,
    Reject,
    Rerun,
    Resume,
    Stop,
    Submitted,
    Suspend,
    Undrain,
)
from orchestrator.errors import (
    CannotRerunError,
    JobEndedError,
    NodeNotFoundError,
    NodeRefusedError,
    NodeStateConflictError,
)
from tests.helpers.harness import SimNode, World, a_job

N1, N2 = NodeId("n1"), NodeId("n2")


def two_nodes() -> tuple[World, SimNode, SimNode]:
    world = World()
    first, second = SimNode(world, "n1", cpu=2), SimNode(world, "n2", cpu=2)
    first.sync()
    second.sync()
    return world, first, second


def test_a_drained_node_finishes_what_runs_and_gets_nothing_new() -> None:
    world, first, second = two_nodes()
    job_id = world.submit(a_job(count=6, cpu="1"))
    for node in (first, second):
        node.sync()
        node.sync()
    assert world.do(Drain(node_id=N1, reason="disk")) == [Acted(count=2, by_state={"running": 2})]
    first.finish_all()
    assert [e.state for e in world.executions.values() if e.node_id == "n1"] == [ExecutionState.COMPLETED] * 2
    for _ in range(5):
        for execution in second.running():
            second.succeed(execution)
        second.sync()
    assert world.state(job_id) is JobStateType.COMPLETED
    assert len(first.started) == 2


def test_a_drain_moves_at_its_deadline_what_still_runs_and_bills_nobody() -> None:
    world, first, second = two_nodes()
    job_id = world.submit(a_job(count=1, cpu="1", retry=Retry(max_attempts=1, max_lost=0)))
    first.sync()
    first.sync()
    assert len(first.running()) == 1
    world.do(Drain(node_id=N1, seconds=20))
    world.pass_time(19)
    first.sync()
    assert len(first.running()) == 1
    world.pass_time(2)
    first.sync()
    first.sync()
    second.sync()
    assert len(second.running()) == 1
    assert world.attempts(job_id, 0)[0].cause is Cause.WITHDRAWN
    second.finish_all()
    assert world.state(job_id) is JobStateType.COMPLETED


def test_an_undrained_node_is_offered_what_waits_at_once() -> None:
    world = World()
    node = SimNode(world, "n1")
    node.sync()
    world.do(Drain(node_id=N1))
    job_id = world.submit(a_job(count=1))
    assert "is being drained" in world.cluster.jobs[job_id].record.job.state.message
    world.do(Undrain(node_id=N1))
    assert world.state(job_id) is JobStateType.RUNNING


def test_a_rejected_node_loses_its_work_and_is_refused_until_it_is_approved() -> None:
    world, first, second = two_nodes()
    job_id = world.submit(a_job(count=1, cpu="1", retry=Retry(max_attempts=1)))
    first.sync()
    world.do(Reject(node_id=N1))
    record = world.cluster.nodes[N1].record
    assert (record.membership, record.connection, record.last_error) == (
        Membership.REJECTED,
        Connection.DISCONNECTED,
        "node rejected",
    )
    assert world.attempts(job_id, 0)[0].cause is Cause.NODE_LOST
    with pytest.raises(NodeRefusedError):
        first.sync()
    with pytest.raises(NodeStateConflictError, match="node n1 already rejected"):
        world.do(Reject(node_id=N1))
    second.finish_all()
    assert world.state(job_id) is JobStateType.COMPLETED
    world.do(Approve(node_id=N1))
    first.sync()
    assert world.cluster.nodes[N1].is_usable


def test_a_deleted_node_is_gone_and_comes_back_only_as_a_new_one() -> None:
    world, first, _ = two_nodes()
    job_id = world.submit(a_job(count=1, cpu="1"))
    first.sync()
    world.do(DeleteNode(node_id=N1))
    assert N1 not in world.cluster.nodes
    assert world.last.deleted_nodes == [N1]
    assert world.attempts(job_id, 0)[0].cause is Cause.NODE_LOST
    with pytest.raises(NodeRefusedError, match="not known here"):
        first.sync()
    first.restart(keeps=False)
    first.sync()
    assert world.cluster.nodes[N1].is_usable


def test_a_node_waits_for_approval_where_that_is_wanted() -> None:
    world = World()
    world.cluster.approves_by_hand = True
    node = SimNode(world, "n1")
    node.sync()
    job_id = world.submit(a_job(count=1))
    assert "is pending, not approved" in world.cluster.jobs[job_id].record.job.state.message
    world.do(Approve(node_id=N1))
    assert world.state(job_id) is JobStateType.RUNNING


@pytest.mark.parametrize(
    "command", [Drain(node_id=N1), Undrain(node_id=N1), Approve(node_id=N1), DeleteNode(node_id=N1)]
)
def test_an_unknown_node_is_named(command: Drain | Undrain | Approve | DeleteNode) -> None:
    with pytest.raises(NodeNotFoundError, match="node not found: n1"):
        World().do(command)


def test_a_suspended_job_finishes_what_runs_and_begins_nothing_until_it_is_resumed() -> None:
    world, first, second = two_nodes()
    job_id = world.submit(a_job(count=6, cpu="1"))
    (reply,) = world.do(Suspend(job_id=job_id, reason="night"))
    assert isinstance(reply, Evaluated)
    assert reply.evaluation_id
    first.finish_all()
    second.finish_all()
    assert world.words(job_id) == "666611"
    state = world.cluster.jobs[job_id].record.job.state
    assert (state.state_type, state.message) == (JobStateType.RUNNING, "Suspended: night")
    world.pass_time(1000)
    assert world.state(job_id) is JobStateType.RUNNING
    assert world.do(Suspend(job_id=job_id)) == [Evaluated(evaluation_id="")]
    world.do(Resume(job_id=job_id))
    first.sync()
    first.finish_all()
    assert world.state(job_id) is JobStateType.COMPLETED


def test_an_ended_job_can_be_neither_suspended_nor_resumed() -> None:
    world = World()
    job_id = world.submit(a_job(count=1))
    world.do(Stop(job_id=job_id, reason=""))
    with pytest.raises(JobEndedError, match="has ended: it is Stopped") as found:
        world.do(Suspend(job_id=job_id))
    assert found.value.hint == "nothing of it runs any more, so that there is nothing to hold back"
    with pytest.raises(JobEndedError, match="has ended: it is Stopped") as found:
        world.do(Resume(job_id=job_id))
    assert found.value.hint == f"run its stopped partitions again with: shoal job retry {job_id} --select stopped"


def test_who_resumes_a_completed_job_is_told_how_to_run_it_again() -> None:
    world, node, _ = two_nodes()
    job_id = world.submit(a_job(count=1, cpu="1"))
    node.finish_all()
    with pytest.raises(JobEndedError, match="has ended: it is Completed") as found:
        world.do(Resume(job_id=job_id))
    assert found.value.hint == f"run all of it again with: shoal job rerun {job_id}"


def test_a_rerun_is_a_new_version_of_all_partitions() -> None:
    world, first, second = two_nodes()
    job_id = world.submit(a_job("again", count=2, cpu="1"))
    first.finish_all()
    second.finish_all()
    spec = world.cluster.jobs[job_id].record.job
    (reply,) = world.do(Rerun(job_id=job_id, job=spec))
    assert isinstance(reply, Submitted)
    assert (reply.job_id, reply.version) == (job_id, 2)
    first.finish_all()
    second.finish_all()
    assert world.state(job_id) is JobStateType.COMPLETED
    assert [h.message for h in world.happenings if h.topic == "Submission"] == ["Job submitted", "Job rerun requested"]


def test_what_has_not_begun_cannot_be_run_again() -> None:
    world = World()
    job_id = world.submit(a_job(count=1))
    with pytest.raises(CannotRerunError, match="cannot rerun job in state Queued"):
        world.do(Rerun(job_id=job_id, job=world.cluster.jobs[job_id].record.job))
