"""What failed on a node is known for an hour, is stored with the node, and is no change of the node to anybody else."""

from orchestrator.contract.partitions import PartitionState as S
from orchestrator.core.cluster import NodeEntry
from orchestrator.core.commands import Stop, Sync
from orchestrator.core.decide import decide
from orchestrator.core.draft import Draft
from orchestrator.routes.views import work_of
from tests.helpers.harness import SimNode, World, a_job


def failing(world: World, count: int = 1) -> SimNode:
    """A node on which that many partitions of a job have failed."""
    node = SimNode(world, "n1", cpu=8)
    node.sync()
    world.submit(a_job("a", count=count + 1))
    node.sync()
    node.sync()
    for execution in node.running()[:count]:
        node.fail(execution)
    node.sync()
    return node


def entry(world: World) -> NodeEntry:
    (found,) = world.cluster.nodes.values()
    return found


def test_failures_are_counted_for_an_hour() -> None:
    world = World()
    failing(world, 2)
    assert work_of(entry(world), world.cluster, world.now).failed == 2
    now = world.now
    assert work_of(entry(world), world.cluster, type(now)(now + 59 * 60 * 10**9)).failed == 2
    assert work_of(entry(world), world.cluster, type(now)(now + 61 * 60 * 10**9)).failed == 0


def test_what_is_there_comes_before_what_was() -> None:
    world = World()
    node = failing(world)
    states = work_of(entry(world), world.cluster, world.now).partitions
    assert states[-1] in (S.FAILED, S.RETRYING, S.WAITING)
    node.finish_all()
    assert work_of(entry(world), world.cluster, world.now).partitions[0] == S.COMPLETED


def test_failures_are_stored_with_the_node_in_the_commit_of_the_end() -> None:
    world = World()
    node = failing(world)
    assert [count for _, count in entry(world).record.failures] == [1]
    node.fail(node.running()[0])
    draft = Draft(world.cluster, world.now, world.new_id)
    decide(draft, Sync(node_id=node.id, request=node.request()))
    (stored,) = draft.changes().nodes
    assert [count for _, count in stored.failures] == [2]
    assert not draft.has_node_changes, "nobody has to look at the node because of it"


def test_what_was_stopped_is_no_failure() -> None:
    world = World()
    node = failing(world)
    (job_id,) = world.cluster.jobs
    world.do(Stop(job_id=job_id, reason=""))
    node.sync()
    node.sync()
    assert not entry(world).live
    assert [count for _, count in entry(world).record.failures] == [1]
    assert work_of(entry(world), world.cluster, world.now).partitions[0] == S.STOPPED
