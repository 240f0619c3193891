"""Sessions, leases and fences: who may speak for a node, how long its word counts, and what silence means."""

import pytest
from msgspec.structs import replace

from orchestrator.contract.agent import Report, SyncRequest
from orchestrator.contract.execution import Cause, DesiredState, ExecutionState
from orchestrator.contract.ids import NodeId, after
from orchestrator.contract.job import JobStateType
from orchestrator.contract.node import Connection, Membership, Resources
from orchestrator.core.commands import Stop, Sync, Tick
from orchestrator.core.deadlines import Deadline, Kind
from orchestrator.core.decide import decide
from orchestrator.core.draft import Draft
from orchestrator.errors import NodeRefusedError, SessionConflictError, WrongClusterError
from tests.helpers.harness import SimNode, World, a_job, a_node_info, moved

N1 = NodeId("n1")


def a_world(**times: float) -> tuple[World, SimNode]:
    world = World(**times)
    node = SimNode(world, "n1")
    node.sync()
    return world, node


def speak(world: World, node: SimNode, **fields: object) -> None:
    world.do(Sync(node_id=node.id, request=replace(node.request(), **fields)))


def test_a_successor_that_names_the_session_before_it_is_granted_at_once() -> None:
    world, node = a_world()
    node.restart(keeps=True)
    node.sync()
    assert world.cluster.nodes[N1].record.session == node.session


def test_a_second_agent_is_told_who_holds_the_node_and_for_how_long() -> None:
    world, node = a_world()
    world.pass_time(10)
    with pytest.raises(SessionConflictError, match=f"n1 is held by session {node.session}, whose lease holds for 20 s"):
        SimNode(world, "n1").sync()
    assert world.cluster.nodes[N1].record.session == node.session


def test_a_second_agent_is_granted_when_the_lease_is_over() -> None:
    world, _ = a_world()
    world.pass_time(30)
    other = SimNode(world, "n1")
    other.sync()
    assert world.cluster.nodes[N1].record.session == other.session


def test_a_superseded_session_is_told_so() -> None:
    world, old = a_world()
    new = SimNode(world, "n1")
    new.previous = old.session
    new.sync()
    with pytest.raises(SessionConflictError, match="this one was superseded"):
        old.sync()
    assert world.cluster.nodes[N1].record.session == new.session


def test_a_session_that_was_superseded_does_not_come_back_with_a_word_that_arrives_late() -> None:
    world, old = a_world()
    late = replace(old.request(), info=old.info)
    old.restart(keeps=True)
    old.sync()
    world.pass_time(30)
    with pytest.raises(SessionConflictError, match="this one was superseded"):
        world.do(Sync(node_id=N1, request=late))
    old.restart(keeps=True)
    old.sync()
    assert world.cluster.nodes[N1].record.session == old.session


def test_a_sync_that_was_overtaken_is_not_observed() -> None:
    world, node = a_world()
    world.submit(a_job(count=1))
    node.sync()
    early = node.request()
    node.sync()
    node.succeed(node.running()[0])
    node.sync()
    before, commits = dict(world.executions), world.commits
    lease = world.cluster.nodes[N1].lease_until
    world.pass_time(5)
    world.do(Sync(node_id=N1, request=early))
    world.do(Sync(node_id=N1, request=replace(early, seq=node.seq)))
    assert (world.executions, world.commits) == (before, commits)
    assert world.cluster.nodes[N1].lease_until == lease


def test_a_node_of_another_cluster_is_refused() -> None:
    world, node = a_world()
    with pytest.raises(WrongClusterError, match="the node's journal is of cluster c-other; this is cluster c-test"):
        speak(world, node, cluster_id="c-other")
    speak(world, node, cluster_id="c-test")


def test_a_node_that_is_not_known_has_to_introduce_itself() -> None:
    world = World()
    with pytest.raises(NodeRefusedError):
        world.do(Sync(node_id=N1, request=SyncRequest(session="s1", seq=1)))
    assert not world.cluster.nodes


def test_a_deleted_node_is_refused_until_it_introduces_itself() -> None:
    world, node = a_world()
    del world.cluster.nodes[N1]
    with pytest.raises(NodeRefusedError):
        node.sync()


@pytest.mark.parametrize("is_new_session", [False, True])
def test_a_rejected_node_is_refused(*, is_new_session: bool) -> None:
    world, node = a_world()
    entry = world.cluster.nodes[N1]
    entry.record = replace(entry.record, membership=Membership.REJECTED)
    if is_new_session:
        node.restart(keeps=True)
    with pytest.raises(NodeRefusedError):
        node.sync()


def test_a_sync_that_says_nothing_new_writes_nothing() -> None:
    world, node = a_world()
    world.submit(a_job(count=1))
    node.sync()
    node.sync()
    commits, turn = world.commits, world.cluster.nodes[N1].turn
    for _ in range(10):
        world.pass_time(9)
        node.sync()
    assert (world.commits, world.cluster.nodes[N1].turn) == (commits, turn)
    assert world.cluster.nodes[N1].record.last_sync == world.now
    assert len(world.cluster.deadlines._heap) == 1, "a lease that is renewed costs one entry"


def test_a_lease_counts_from_the_last_sync() -> None:
    world, node = a_world()
    world.pass_time(29)
    node.sync()
    world.pass_time(29)
    assert world.cluster.nodes[N1].record.connection is Connection.CONNECTED
    world.pass_time(1)
    record = world.cluster.nodes[N1].record
    assert (record.connection, record.disconnected_since) == (Connection.DISCONNECTED, world.now)
    assert record.last_error == "heartbeat timeout"


def test_a_lost_nodes_executions_are_lost_and_placed_elsewhere_and_nothing_is_accepted_from_them() -> None:
    world, node = a_world()
    job_id = world.submit(a_job(count=1))
    node.sync()
    node.sync()
    world.pass_time(20)
    other = SimNode(world, "n2")
    other.sync()
    world.pass_time(10)
    first, second = world.attempts(job_id, 0)
    assert (first.state, first.cause, first.node_id) == (ExecutionState.FAILED, Cause.NODE_LOST, "n1")
    assert (second.state, second.node_id) == (ExecutionState.ASSIGNED, "n2")
    node.succeed(first.id)
    node.sync()
    assert world.executions[first.id] is first
    assert world.words(job_id) == "3"


def test_what_a_returning_node_still_runs_counts_as_used_until_it_stops() -> None:
    world, node = a_world()
    world.submit(a_job(count=2))
    node.sync()
    node.sync()
    world.pass_time(31)
    speak(world, node)
    entry = world.cluster.nodes[N1]
    assert (entry.used, entry.free().cpu) == (Resources(cpu=2, memory=2 * 10**6), 0)
    node.answer(node.wanted())
    node.sync()
    assert len(entry.live) <= 2
    assert len(world.cluster.nodes[N1].live) == 2, "its room was not used again"


def test_news_about_a_node_are_taken_in_also_when_it_comes_back() -> None:
    world, node = a_world()
    world.pass_time(31)
    news = moved(node.info, zone="b")
    speak(world, node, info=news)
    record = world.cluster.nodes[N1].record
    assert (record.connection, record.info) == (Connection.CONNECTED, news)
    more = moved(node.info, zone="c")
    speak(world, node, info=more)
    assert world.cluster.nodes[N1].record.info == more
    assert world.last.nodes[0].info == more


def stopped_while_cut_off() -> tuple[World, SimNode, str]:
    world, node = a_world(lease=30, fence=600)
    job_id = world.submit(a_job(count=1))
    node.sync()
    node.sync()
    world.do(Stop(job_id=job_id, reason="enough"))
    world.pass_time(31)
    return world, node, job_id


def test_what_should_stop_on_a_lost_node_is_stopping_until_its_fence() -> None:
    world, _, job_id = stopped_while_cut_off()
    entry = next(iter(world.cluster.jobs.values()))
    assert world.state(entry.id) is JobStateType.STOPPED
    assert world.cluster.stopping(entry) == [0]
    lost_at = world.cluster.nodes[N1].record.disconnected_since
    world.pass_time(598)
    assert world.cluster.stopping(entry) == [0]
    world.pass_time(2)
    assert world.cluster.stopping(entry) == []
    (ended,) = world.attempts(entry.id, 0)
    assert (ended.state, ended.cause) == (ExecutionState.CANCELLED, Cause.CANCELLED)
    assert ended.finished == after(lost_at, 600)
    assert entry.id == job_id


def test_a_fence_counts_from_the_last_loss() -> None:
    world, node, _ = stopped_while_cut_off()
    entry = next(iter(world.cluster.jobs.values()))
    world.pass_time(500)
    speak(world, node)
    world.pass_time(599)
    assert world.cluster.stopping(entry) == [0], "judged by the loss before it"
    world.pass_time(32)
    assert world.cluster.stopping(entry) == []


def test_a_node_that_comes_back_before_its_fence_says_itself_how_it_ended() -> None:
    world, node, _ = stopped_while_cut_off()
    entry = next(iter(world.cluster.jobs.values()))
    node.sync()
    assert world.cluster.stopping(entry) == [0]
    node.sync()
    assert world.cluster.stopping(entry) == []
    assert world.words(entry.id) == "8"


def test_lateness_extends_leases_before_they_are_judged() -> None:
    world, _ = a_world()
    lease = world.cluster.nodes[N1].lease_until
    world.now = after(lease, 40)
    due = world.cluster.deadlines.take(world.now, 100)
    draft = Draft(world.cluster, world.now, world.new_id)
    decide(draft, Tick(due=tuple(due), late_by=45))
    draft.put()
    node = world.cluster.nodes[N1]
    assert (node.record.connection, node.lease_until) == (Connection.CONNECTED, after(world.now, 30))
    world.pass_time(31)
    assert world.cluster.nodes[N1].record.connection is Connection.DISCONNECTED


def test_a_little_lateness_extends_nothing() -> None:
    world, _ = a_world()
    lease = world.cluster.nodes[N1].lease_until
    world.do(Tick(due=(Deadline(world.now, Kind.LEASE, N1),), late_by=0.9))
    assert world.cluster.nodes[N1].lease_until == lease


def test_ticks_of_what_is_gone_mean_nothing() -> None:
    world = World()
    world.do(Tick(due=tuple(Deadline(world.now, kind, "gone") for kind in Kind)))
    assert world.commits == 0


def test_used_is_what_the_node_says_runs_whatever_we_think_of_it() -> None:
    world, node = a_world()
    strange = Report(execution_id=node.world.new_id(), state=ExecutionState.RUNNING, need=Resources(cpu=1.5))  # type: ignore[arg-type]
    speak(world, node, reports=(strange,))
    assert world.cluster.nodes[N1].free().cpu == 0.5
    assert world.cluster.ignored_reports == 1
    job_id = world.submit(a_job(count=1))
    assert world.state(job_id) is JobStateType.QUEUED
    speak(world, node)
    assert world.state(job_id) is JobStateType.RUNNING, "room that became free was not used"


def test_what_was_assigned_and_not_named_yet_counts_as_used() -> None:
    world, node = a_world()
    world.submit(a_job(count=1))
    assert world.cluster.nodes[N1].free().cpu == 1
    node.sync()
    node.sync()
    assert world.cluster.nodes[N1].free().cpu == 1, "counted twice"


def test_a_publishing_execution_holds_no_capacity() -> None:
    world, node = a_world()
    world.submit(a_job(count=2))
    node.sync()
    node.sync()
    (first, _) = node.running()
    node.reports[first] = Report(execution_id=first, state=ExecutionState.PUBLISHING)
    node.sync()
    assert world.cluster.nodes[N1].free().cpu == 1


def test_an_execution_that_an_earlier_session_had_and_this_one_does_not_name_is_lost() -> None:
    world, node = a_world()
    job_id = world.submit(a_job(count=1))
    node.sync()
    node.sync()
    node.restart(keeps=False)
    node.sync()
    first, second = world.attempts(job_id, 0)
    assert (first.state, first.cause) == (ExecutionState.FAILED, Cause.AGENT)
    assert (second.attempt, world.cluster.jobs[job_id].row(0).lost) == (2, 1)


def test_an_execution_that_a_restarted_agent_adopts_goes_on() -> None:
    world, node = a_world()
    job_id = world.submit(a_job(count=1))
    node.sync()
    node.sync()
    node.restart(keeps=True)
    node.sync()
    node.succeed(node.running()[0])
    node.sync()
    assert (world.state(job_id), len(world.attempts(job_id, 0))) == (JobStateType.COMPLETED, 1)


def test_an_assignment_that_this_session_does_not_name_is_offered_again() -> None:
    world, node = a_world()
    world.submit(a_job(count=1))
    speak(world, node)
    speak(world, node)
    assert [assignment.attempt for assignment in node.wanted()] == [1]


def test_a_stopped_assignment_that_was_never_named_ends_when_no_answer_can_still_name_it() -> None:
    world, node = a_world()
    job_id = world.submit(a_job(count=1))
    world.do(Stop(job_id=job_id, reason=""))
    (execution,) = world.cluster.executions.values()
    assert execution.desired is DesiredState.STOPPED
    turns = [world.cluster.nodes[N1].turn]
    for left in (1, 1, 0):
        speak(world, node)
        turns.append(world.cluster.nodes[N1].turn)
        assert len(world.cluster.executions) == left
    assert turns == sorted(set(turns)), "the node has to be answered at once, so that it speaks again"


def test_a_node_that_grows_takes_what_waits() -> None:
    world, node = a_world()
    job_id = world.submit(a_job(count=1, cpu="4"))
    assert world.state(job_id) is JobStateType.QUEUED
    speak(world, node, info=a_node_info("n1", cpu=8))
    assert world.state(job_id) is JobStateType.RUNNING
