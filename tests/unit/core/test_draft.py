"""A draft is invisible until it is put, and what a command that raised wrote leaves no trace."""

import msgspec
import pytest

from orchestrator.contract.ids import JobId, NodeId
from orchestrator.contract.job import JobStateType
from orchestrator.contract.partitions import PartitionState
from orchestrator.core.commands import Decision, Retry, Stop, StopPartitions, Submit, Sync
from orchestrator.core.decide import conclude, decide
from orchestrator.core.draft import Draft
from tests.helpers.harness import SimNode, World, a_job


class Stage:
    """A cluster with work in every state, and one draft over it."""

    def __init__(self) -> None:
        self.world = World()
        self.node = SimNode(self.world, "n1", cpu=4)
        self.node.sync()
        self.job_id = self.world.submit(a_job("a", count=6))
        self.node.sync()
        self.node.sync()
        self.node.succeed(self.node.running()[0])
        self.draft = Draft(self.world.cluster, self.world.now, self.world.new_id)

    def commands(self) -> list[Decision]:
        """One of each kind that changes something."""
        return [
            Sync(node_id=self.node.id, request=self.node.request()),
            StopPartitions(job_id=self.job_id, partitions=(range(2, 5),)),
            Retry(job_id=self.job_id, partitions=(range(6),), include_completed=True),
            Submit(job=a_job("b", count=2)),
            Submit(job=a_job("a", count=9), is_forced=True),
            Stop(job_id=self.job_id, reason="enough"),
            Sync(node_id=NodeId("n2"), request=SimNode(self.world, "n2").request()),
        ]


def picture(draft: Draft) -> bytes:
    """Everything that a draft would write, and what it shows of nodes."""
    nodes = {node.id: (node.record, node.seq, node.turn, dict(node.live), node.used) for node in draft.nodes()}
    return msgspec.json.encode((draft.changes(), nodes, list(draft.touched), list(draft.freed)))


def cluster_of(world: World) -> bytes:
    cluster = world.cluster
    jobs = {
        job_id: (entry.record, bytes(entry.states), list(entry.attempts), dict(entry.live), dict(entry.due))
        for job_id, entry in cluster.jobs.items()
    }
    nodes = {node.id: (node.record, node.seq, node.turn, dict(node.live), node.used) for node in cluster.nodes.values()}
    return msgspec.json.encode((jobs, nodes, cluster.executions, sorted(cluster.hungry), len(cluster.deadlines._heap)))


def test_nothing_is_visible_before_it_is_put() -> None:
    stage = Stage()
    before = cluster_of(stage.world)
    for command in stage.commands():
        decide(stage.draft, command)
    conclude(stage.draft)
    assert stage.draft.changes()
    assert cluster_of(stage.world) == before
    stage.draft.put()
    assert cluster_of(stage.world) != before
    stage.world.cluster.check()


@pytest.mark.parametrize("which", range(7))
def test_a_rolled_back_command_leaves_no_trace(which: int) -> None:
    stage = Stage()
    commands = stage.commands()
    for command in commands[:which]:
        decide(stage.draft, command)
    before = picture(stage.draft)
    mark = stage.draft.mark()
    decide(stage.draft, commands[which])
    assert picture(stage.draft) != before, "a command that changes nothing shows nothing"
    stage.draft.rollback(mark)
    assert picture(stage.draft) == before


def test_a_node_changed_by_an_earlier_command_is_as_that_command_left_it() -> None:
    stage = Stage()
    draft = stage.draft
    decide(draft, Sync(node_id=stage.node.id, request=stage.node.request()))
    left = msgspec.structs.replace(draft.change_node(stage.node.id).copy())
    mark = draft.mark()
    decide(draft, Stop(job_id=stage.job_id, reason=""))
    decide(draft, Sync(node_id=stage.node.id, request=stage.node.request()))
    assert draft.node(stage.node.id) != left
    draft.rollback(mark)
    assert draft.node(stage.node.id) == left


def test_rolling_back_the_middle_one_keeps_both_neighbours() -> None:
    stage = Stage()
    draft = stage.draft
    decide(draft, Submit(job=a_job("b", count=1)))
    mark = draft.mark()
    decide(draft, Submit(job=a_job("b", count=2)))
    draft.rollback(mark)
    decide(draft, Submit(job=a_job("c", count=3)))
    conclude(draft)
    draft.put()
    stage.world.cluster.check()
    counts = {entry.record.job.name: entry.record.job.count for entry in stage.world.cluster.jobs.values()}
    assert counts == {"a": 6, "b": 1, "c": 3}


def test_a_job_that_was_rolled_back_has_no_name() -> None:
    stage = Stage()
    mark = stage.draft.mark()
    decide(stage.draft, Submit(job=a_job("b", count=2)))
    assert stage.draft.find("default", "b")
    stage.draft.rollback(mark)
    assert stage.draft.find("default", "b") is None


def test_untouched_partitions_read_as_the_job_says_and_cost_no_row() -> None:
    world = World()
    job_id = world.submit(a_job(count=5))
    draft = Draft(world.cluster, world.now, world.new_id)
    draft.set_row(msgspec.structs.replace(draft.row(job_id, 3), state=PartitionState.FAILED, attempts=2))
    draft.set_untouched(job_id, PartitionState.STOPPED)
    assert [draft.state(job_id, index).word for index in range(5)] == ["stopped"] * 3 + ["failed", "stopped"]
    assert draft.counts(job_id)[PartitionState.STOPPED] == 4
    assert draft.row(job_id, 0).state is PartitionState.STOPPED
    assert [row.index for row in draft.changes().partitions] == [3]
    draft.set_row(msgspec.structs.replace(draft.row(job_id, 1), state=PartitionState.WAITING))
    draft.put()
    entry = world.cluster.jobs[job_id]
    assert bytes(entry.states) == bytes([8, 1, 8, 7, 8])
    assert entry.counts == [entry.states.count(state) for state in PartitionState]


def test_put_tells_what_changed() -> None:
    stage = Stage()
    decide(stage.draft, Sync(node_id=stage.node.id, request=stage.node.request()))
    decide(stage.draft, StopPartitions(job_id=stage.job_id, partitions=(range(1, 2),)))
    decide(stage.draft, Submit(job=a_job("b", count=1)))
    conclude(stage.draft)
    put = stage.draft.put()
    (new,) = [job_id for job_id in put.jobs if job_id != stage.job_id]
    assert put.whole == {new}
    assert set(put.rows[stage.job_id]) == {0, 1}
    assert put.nodes == [stage.node.id]
    assert put.stopping == {stage.job_id: [0, 1]}


def test_a_draft_of_nothing_writes_nothing() -> None:
    stage = Stage()
    conclude(stage.draft)
    assert not stage.draft.changes()
    assert stage.draft.put().jobs == []


def test_jobs_are_known_by_their_id_also_before_they_are_put() -> None:
    stage = Stage()
    reply = decide(stage.draft, Submit(job=a_job("b", count=1)))
    job_id: JobId = reply.job_id  # type: ignore[union-attr]
    assert stage.draft.known_job(job_id) == job_id
    assert stage.draft.known_job("j-none") is None
    assert stage.draft.job(job_id).job.state.state_type is JobStateType.PENDING
