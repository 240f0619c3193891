"""Whose turn it is, and how many fit: nodes run as many partitions as they hold, nobody starves, nobody idles."""

import pytest

from orchestrator.contract.ids import JobId
from orchestrator.contract.job import Constraint, Job, JobStateType
from orchestrator.contract.partitions import PartitionState
from orchestrator.contract.selectors import PREFERENCE
from orchestrator.core.commands import Retry as RetryPartitions
from orchestrator.core.commands import Stop, Submit
from tests.helpers.harness import SimNode, World, a_job, a_node_info

RUNNING = str(int(PartitionState.RUNNING))


def running(world: World, job_id: JobId) -> int:
    return world.words(job_id).count(RUNNING)


def places(world: World, job_id: JobId) -> list[str]:
    return sorted(e.node_id for e in world.cluster.executions.values() if e.job_id == job_id)


def test_one_node_runs_a_thousand_partitions() -> None:
    world = World()
    node = SimNode(world, "n1", cpu=2)
    node.sync()
    job_id = world.submit(a_job(count=1000))
    node.finish_all()
    assert world.state(job_id) is JobStateType.COMPLETED
    assert world.words(job_id) == "6" * 1000
    assert len(world.executions) == 1000


@pytest.mark.parametrize(
    ("job", "fits"),
    [
        (a_job(count=20, cpu="1"), 4),
        (a_job(count=20, cpu="0.1", memory="300mb"), 3),
        (a_job(count=20, cpu="0.1", disk="200gb"), 5),
        (a_job(count=20, cpu="0.1", gpu="1"), 2),
    ],
)
def test_a_node_runs_as_many_as_fit(job: Job, fits: int) -> None:
    world = World()
    node = SimNode(world, "n1", info=a_node_info("n1", cpu=4, memory=10**9, gpu=2))
    node.sync()
    job_id = world.submit(job)
    assert len(world.cluster.nodes[node.id].live) == fits
    node.sync()
    node.sync()
    assert running(world, job_id) == fits
    node.succeed(node.running()[0])
    node.sync()
    node.sync()
    assert running(world, job_id) == fits, "its room was not used again"


def test_partitions_spread_over_nodes_by_load() -> None:
    world = World()
    for name, cpu in (("n1", 4), ("n2", 4), ("n3", 2)):
        SimNode(world, name, cpu=cpu).sync()
    job_id = world.submit(a_job(count=5))
    assert places(world, job_id) == ["n1", "n1", "n2", "n2", "n3"]


def test_a_wish_goes_before_load_but_excludes_nobody() -> None:
    world = World()
    for name, zone in (("n1", "a"), ("n2", "b")):
        SimNode(world, name, info=a_node_info(name, zone=zone)).sync()
    wish = Constraint(key=f"{PREFERENCE}zone", operator="in", values=("b",))
    job_id = world.submit(a_job(count=3, constraints=(wish,)))
    assert places(world, job_id) == ["n1", "n2", "n2"]
    limit = Constraint(key="zone", operator="in", values=("b",))
    other = world.submit(a_job(count=1, constraints=(limit,)))
    assert places(world, other) == []


def test_a_higher_priority_gets_all_room_first() -> None:
    world = World()
    low, high = world.submit(a_job("low", count=5)), world.submit(a_job("high", count=5, priority=50))
    SimNode(world, "n1", cpu=6).sync()
    assert (len(places(world, low)), len(places(world, high))) == (1, 5)


def test_jobs_of_equal_priority_share_by_fewest_running() -> None:
    world = World()
    SimNode(world, "n1", cpu=2).sync()
    first = world.submit(a_job("first", count=10))
    second = world.submit(a_job("second", count=10))
    assert (len(places(world, first)), len(places(world, second))) == (2, 0)
    SimNode(world, "n2", cpu=4).sync()
    assert (len(places(world, first)), len(places(world, second))) == (3, 3)


def test_a_job_that_does_not_fit_keeps_nobody_else_from_room() -> None:
    world = World()
    SimNode(world, "n1", cpu=2).sync()
    world.submit(a_job("huge", count=1, cpu="8", priority=9))
    small = world.submit(a_job("small", count=2))
    assert len(places(world, small)) == 2


def test_a_retry_goes_to_another_node_where_there_is_one() -> None:
    world = World()
    nodes = [SimNode(world, "n1"), SimNode(world, "n2")]
    for node in nodes:
        node.sync()
    job_id = world.submit(a_job(count=1))
    (first,) = world.cluster.executions.values()
    node = next(node for node in nodes if node.id == first.node_id)
    node.sync()
    node.fail(first.id)
    node.sync()
    world.pass_time(5)
    assert [e.node_id for e in world.attempts(job_id, 0)] == [first.node_id, ({"n1", "n2"} - {first.node_id}).pop()]


def test_a_retry_goes_to_the_same_node_where_there_is_no_other() -> None:
    world = World()
    node = SimNode(world, "n1")
    node.sync()
    job_id = world.submit(a_job(count=1))
    node.sync()
    node.fail(node.running()[0])
    node.sync()
    world.pass_time(5)
    assert [e.node_id for e in world.attempts(job_id, 0)] == ["n1", "n1"]


def test_a_placement_is_a_step_of_a_thousand_and_the_next_batch_goes_on() -> None:
    world = World()
    SimNode(world, "n1", cpu=3000).sync()
    commits = world.commits
    job_id = world.submit(a_job(count=2500, memory="1kb"))
    assert len(places(world, job_id)) == 2500
    assert world.commits - commits == 3


def short_work(world: World, node: SimNode, count: int, seconds: float) -> JobId:
    """A job of which one partition has run for so long, and the others wait or run."""
    job_id = world.submit(a_job("short", count=count))
    node.sync()
    node.succeed(node.running()[0], seconds=seconds)
    node.sync()
    return job_id


def test_long_work_has_no_backlog() -> None:
    world = World()
    node = SimNode(world, "n1", cpu=2)
    node.sync()
    job_id = short_work(world, node, 50, seconds=1.0)
    assert len(places(world, job_id)) == 2
    assert not world.cluster.nodes[node.id].backlog


@pytest.mark.parametrize(("seconds", "backlog"), [(0.1, 4), (0.01, 40), (0.000_01, 256)])
def test_short_work_has_a_backlog_of_a_fifth_of_a_second(seconds: float, backlog: int) -> None:
    world = World()
    node = SimNode(world, "n1", cpu=2)
    node.sync()
    job_id = short_work(world, node, 500, seconds)
    assert len(world.cluster.nodes[node.id].backlog) == backlog
    assert len(places(world, job_id)) == 2 + backlog
    assert world.cluster.nodes[node.id].free().cpu == 0, "a backlog holds no capacity"


def test_a_backlog_that_is_stuck_moves_to_a_node_with_room() -> None:
    world = World()
    first = SimNode(world, "n1", cpu=1)
    first.sync()
    job_id = short_work(world, first, 3, seconds=0.01)
    first.sync()
    assert len(places(world, job_id)) == 2
    second = SimNode(world, "n2", cpu=1)
    second.sync()
    world.pass_time(3)
    for _ in range(2):
        first.sync()
        second.sync()
    assert places(world, job_id) == ["n1", "n2"]
    row = world.cluster.jobs[job_id].row(2)
    assert (row.billed, row.lost, row.attempts) == (0, 0, 2)
    assert (row.unbegun, world.cluster.jobs[job_id].attempts_and_retries()[1]) == (1, 0), (
        "what was taken back before it began is no retry"
    )
    second.fail(second.running()[0])
    second.sync()
    world.pass_time(3)
    assert world.cluster.jobs[job_id].row(2).attempts == 3
    assert world.cluster.jobs[job_id].attempts_and_retries()[1] == 1


@pytest.mark.parametrize("other", [a_node_info("n2", engines=("wasm",)), a_node_info("n2", cpu=0.5)])
def test_a_backlog_is_not_withdrawn_for_a_node_that_cannot_take_it(other: object) -> None:
    world = World()
    first = SimNode(world, "n1", cpu=1)
    first.sync()
    job_id = short_work(world, first, 3, seconds=0.01)
    first.sync()
    SimNode(world, "n2", info=other).sync()  # type: ignore[arg-type]
    world.pass_time(10)
    first.sync()
    world.pass_time(10)
    first.sync()
    assert world.cluster.jobs[job_id].row(2).attempts == 1


def test_watching_a_backlog_costs_the_same_however_often_its_node_speaks() -> None:
    world = World()
    node = SimNode(world, "n1", cpu=1)
    node.sync()
    short_work(world, node, 3, seconds=0.01)
    for _ in range(40):
        node.sync()
        world.pass_time(0.1)
    assert len(world.cluster.deadlines._heap) < 8


class Crowd:
    """A node of 2 cores that is never idle: small work comes as fast as it goes."""

    def __init__(self) -> None:
        self.world = World()
        self.node = SimNode(self.world, "n1", cpu=2)
        self.node.sync()
        self.big = self.world.submit(a_job("big", count=1, cpu="2"))
        self.small = self.world.submit(a_job("small", count=500))
        self.node.sync()
        self.node.fail(self.node.running()[0])
        self.node.sync()
        self.node.sync()
        self.world.pass_time(2)

    def work(self, seconds: int, step: int = 5) -> None:
        """One of the small ones ends every few seconds."""
        for _ in range(0, seconds, step):
            self.world.pass_time(step)
            if len(self.node.running()) > 1 or self.world.cluster.nodes[self.node.id].reserved_for:
                self.node.succeed(self.node.running()[0], seconds=10)
            self.node.sync()
            self.node.sync()


def test_a_big_job_is_not_starved_by_small_ones() -> None:
    crowd = Crowd()
    crowd.work(50)
    assert places(crowd.world, crowd.big) == []
    crowd.work(20)
    assert places(crowd.world, crowd.big) == ["n1"]
    assert not crowd.world.cluster.nodes[crowd.node.id].reserved_for, "the reservation outlived its use"


def test_a_reservation_keeps_small_ones_out_and_goes_when_its_job_is_stopped() -> None:
    crowd = Crowd()
    world, node = crowd.world, crowd.node
    for _ in range(3):
        world.pass_time(20)
        node.sync()
    assert world.cluster.nodes[node.id].reserved_for == crowd.big
    node.succeed(node.running()[0], seconds=10)
    node.sync()
    node.sync()
    assert len(places(world, crowd.small)) == 1, "reserved room was given away"
    world.do(Stop(job_id=crowd.big, reason=""))
    assert not world.cluster.nodes[node.id].reserved_for
    assert len(places(world, crowd.small)) == 2, "room that is kept for nobody stays empty"


def test_room_beside_a_job_that_got_its_reserved_node_is_given_at_once() -> None:
    world = World()
    node = SimNode(world, "n1", cpu=4)
    node.sync()
    world.submit(a_job("first", count=4))
    node.sync()
    big = world.submit(a_job("big", count=1, cpu="2"))
    late = world.submit(a_job("late", count=9))
    world.pass_time(29)
    node.sync()
    world.pass_time(29)
    node.sync()
    world.pass_time(3)
    assert world.cluster.nodes[node.id].reserved_for == big
    for execution_id in node.running()[:3]:
        node.succeed(execution_id, seconds=10)
    node.sync()
    assert (len(places(world, big)), len(places(world, late))) == (1, 1)


def test_nothing_is_looked_at_when_nothing_happened() -> None:
    world = World()
    SimNode(world, "n1", cpu=1).sync()
    job_id = world.submit(a_job(count=5))
    before, commits = world.cluster.jobs[job_id].record, world.commits
    world.do()
    assert (world.cluster.jobs[job_id].record, world.commits) == (before, commits)


def test_a_retry_of_a_placed_partition_is_placed_when_the_former_execution_has_ended() -> None:
    world = World()
    node = SimNode(world, "n1", cpu=2)
    node.sync()
    job_id = world.submit(a_job(count=1))
    node.sync()
    node.sync()
    world.do(Stop(job_id=job_id, reason=""), RetryPartitions(job_id=job_id, partitions=(range(1),)))
    assert [e.attempt for e in world.attempts(job_id, 0)] == [1]
    node.sync()
    node.sync()
    assert [(e.attempt, e.state.name) for e in world.attempts(job_id, 0)] == [(1, "CANCELLED"), (2, "ASSIGNED")]


def test_jobs_that_came_in_one_batch_are_placed_in_one_pass() -> None:
    world = World()
    SimNode(world, "n1", cpu=4).sync()
    world.do(*(Submit(job=a_job(name, count=2)) for name in "abc"))
    assert sorted(len(places(world, job_id)) for job_id in world.cluster.jobs) == [1, 1, 2]


def test_room_that_appears_because_a_node_names_what_it_was_assigned_is_seen() -> None:
    """Lost work that a node still ran took room; its end and the naming of what replaced it come in one sync."""
    world = World()
    node = SimNode(world, "n1", cpu=4)
    node.sync()
    first = world.submit(a_job("first", count=2, cpu="1"))
    node.sync()
    world.pass_time(31)
    second = world.submit(a_job("second", count=2, cpu="1"))
    node.sync()
    node.sync()
    assert (world.words(first), world.words(second)) == ("43", "43")
