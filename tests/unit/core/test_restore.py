"""A restarted orchestrator goes on where the old one was: nothing is run again, nothing is forgotten."""

from orchestrator.contract.execution import DesiredState, ExecutionState
from orchestrator.contract.ids import JobId, NodeId, after
from orchestrator.contract.job import Backoff, JobStateType, Retry, TimeoutConfig
from orchestrator.contract.node import Connection
from orchestrator.core.commands import Retry as RetryPartitions
from orchestrator.core.commands import Stop, StopPartitions, Submit
from orchestrator.core.model import NEVER, NodeRecord, Snapshot
from orchestrator.core.restore import restore
from tests.helpers.harness import SimNode, World, a_job

STEADY = Backoff(initial=100, factor=1, max=100, jitter=False)


def snapshot_of(world: World) -> Snapshot:
    """What a store would give, of everything that was ever committed."""
    executions = [e for e in world.executions.values() if not e.state.is_terminal]
    latest = dict(sorted(world.jobs))
    wanted = {(e.job_id, e.job_version) for e in executions}
    held = {e.job_id for e in executions}
    wanted |= {key for key in latest.items() if key[0] in held or not world.jobs[key].job.state.state_type.is_terminal}
    nodes: dict[NodeId, NodeRecord] = {node.id: node.record for node in world.cluster.nodes.values()}
    return Snapshot(
        cluster_id=world.cluster.id,
        commit=world.commits,
        last_time=world.now,
        jobs=[world.jobs[key] for key in sorted(wanted)],
        partitions=[row for key, row in sorted(world.partitions.items()) if key[:2] in wanted],
        executions=executions,
        nodes=list(nodes.values()),
        next_seqs={j: max(h.seq for h in world.happenings if h.job_id == j) + 1 for j, _ in wanted},
    )


def restart(world: World) -> None:
    """Kill the orchestrator and start it again."""
    old = world.cluster
    world.cluster = restore(snapshot_of(world), NodeId("orch"), lease=old.lease, fence=old.fence, now=world.now)
    world.cluster.check()
    world.do()


def a_world(cpu: float = 2) -> tuple[World, SimNode]:
    world = World()
    node = SimNode(world, "n1", cpu=cpu)
    node.sync()
    return world, node


def test_running_partitions_go_on_and_nothing_is_run_again() -> None:
    world, node = a_world()
    job_id = world.submit(a_job(count=10))
    for _ in range(3):
        node.sync()
        node.succeed(node.running()[0])
    node.sync()
    words, executions = world.words(job_id), len(world.executions)
    restart(world)
    assert (world.words(job_id), len(world.executions)) == (words, executions)
    node.sync()
    node.finish_all()
    assert world.words(job_id) == "6" * 10
    assert len(world.executions) == 10


def test_lines_of_history_go_on_being_numbered() -> None:
    world, node = a_world()
    world.submit(a_job(count=3))
    restart(world)
    node.finish_all()
    seqs = [line.seq for line in world.happenings]
    assert seqs == list(range(1, len(seqs) + 1))


def test_every_node_has_one_full_lease_from_the_start() -> None:
    world, _ = a_world()
    job_id = world.submit(a_job(count=1))
    world.now = after(world.now, 5000)
    restart(world)
    assert world.words(job_id) == "3"
    world.pass_time(29)
    assert world.cluster.nodes[NodeId("n1")].record.connection is Connection.CONNECTED
    world.pass_time(1)
    assert world.words(job_id) == "2"


def test_backoffs_and_budgets_are_kept() -> None:
    world, node = a_world()
    job_id = world.submit(a_job(count=1, retry=Retry(max_attempts=2, backoff=STEADY)))
    node.sync()
    node.fail(node.running()[0])
    node.sync()
    row = world.cluster.jobs[job_id].row(0)
    restart(world)
    assert world.cluster.jobs[job_id].row(0) == row
    for _ in range(10):
        world.pass_time(9.9)
        node.sync()
    assert world.words(job_id) == "2"
    world.pass_time(1)
    assert world.words(job_id) == "3"
    node.sync()
    node.fail(node.running()[0])
    node.sync()
    assert world.words(job_id) == "7"


def test_total_timeouts_go_on_counting() -> None:
    world, node = a_world()
    job_id = world.submit(a_job(count=1, timeouts=TimeoutConfig(total_timeout=60)))
    world.pass_time(20)
    node.sync()
    world.pass_time(20)
    restart(world)
    node.sync()
    world.pass_time(19)
    assert world.state(job_id) is JobStateType.RUNNING
    world.pass_time(1)
    assert world.state(job_id) is JobStateType.FAILED


def test_queue_limits_go_on_counting() -> None:
    world = World()
    job_id = world.submit(a_job(count=1))
    world.pass_time(20)
    restart(world)
    world.pass_time(9)
    assert world.state(job_id) is JobStateType.QUEUED
    world.pass_time(1)
    assert world.state(job_id) is JobStateType.FAILED


def test_untouched_partitions_are_where_the_job_says() -> None:
    world, node = a_world()
    job_id = world.submit(a_job(count=9))
    world.do(
        StopPartitions(job_id=job_id, partitions=(range(9),)), RetryPartitions(job_id=job_id, partitions=(range(3),))
    )
    node.sync()
    node.sync()
    words = world.words(job_id)
    restart(world)
    assert world.words(job_id) == words
    assert words[3:] == "8" * 6


def test_what_should_stop_is_still_told_to_stop() -> None:
    world, node = a_world()
    job_id = world.submit(a_job(count=2))
    node.sync()
    node.sync()
    world.do(Stop(job_id=job_id, reason=""))
    restart(world)
    entry = world.cluster.jobs[job_id]
    assert world.cluster.stopping(entry) == [0, 1]
    node.sync()
    node.sync()
    assert entry.is_settled
    assert {e.state for e in world.executions.values()} == {ExecutionState.CANCELLED}


def test_what_should_stop_on_a_lost_node_ends_at_its_fence() -> None:
    world, node = a_world()
    job_id = world.submit(a_job(count=1))
    node.sync()
    node.sync()
    world.do(Stop(job_id=job_id, reason=""))
    world.pass_time(31)
    restart(world)
    world.pass_time(598)
    assert world.cluster.executions
    world.pass_time(3)
    assert not world.cluster.executions


def updated(count: int) -> tuple[World, SimNode, JobId]:
    """A job whose older version still runs on a node that is cut off."""
    world, node = a_world()
    job_id = world.submit(a_job("a", count=6))
    node.sync()
    node.sync()
    world.do(Submit(job=a_job("a", count=count), is_forced=True))
    return world, node, job_id


def test_an_older_versions_execution_stops_and_the_newer_version_is_the_job() -> None:
    world, node, job_id = updated(count=4)
    restart(world)
    record = world.cluster.jobs[job_id].record
    assert (record.job.version, len(world.words(job_id))) == (2, 4)
    assert {e.desired for e in world.cluster.executions.values() if e.job_version == 1} == {DesiredState.STOPPED}
    node.finish_all()
    assert world.words(job_id) == "6666"


def test_an_older_version_does_not_come_back_when_the_newer_one_has_ended() -> None:
    world, node, job_id = updated(count=0)
    assert world.state(job_id) is JobStateType.COMPLETED
    restart(world)
    assert world.cluster.jobs[job_id].record.job.version == 2
    assert world.state(job_id) is JobStateType.COMPLETED
    started = len(world.executions)
    node.finish_all()
    assert len(world.executions) == started


def test_a_restart_again_changes_nothing() -> None:
    world, node = a_world()
    job_id = world.submit(a_job(count=5))
    node.sync()
    node.sync()
    restart(world)
    commits, record = world.commits, world.cluster.jobs[job_id].record
    restart(world)
    assert (world.commits, world.cluster.jobs[job_id].record) == (commits, record)
    assert record.queued_since == NEVER
