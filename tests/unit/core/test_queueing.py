"""Jobs of which nothing could be placed: what they say, and for how long they wait."""

import pytest

from orchestrator.contract.job import JobStateType, TimeoutConfig
from orchestrator.core.cluster import NoRoom, Refusal
from orchestrator.core.queueing import reasons_of
from tests.helpers.harness import SimNode, World, a_job, a_node_info


def message(world: World, job_id: str) -> str:
    return next(entry.record.job.state.message for entry in world.cluster.jobs.values() if entry.id == job_id)


def keep_alive(world: World, nodes: list[SimNode], seconds: int) -> None:
    for _ in range(seconds):
        world.pass_time(1)
        for node in nodes:
            node.sync()


def test_without_any_node_a_job_is_queued_and_says_so_then_fails_after_30_seconds() -> None:
    world = World()
    job_id = world.submit(a_job())
    assert world.state(job_id) is JobStateType.QUEUED
    assert message(world, job_id) == "Job queued. no node has joined the cluster"
    world.pass_time(29)
    assert world.state(job_id) is JobStateType.QUEUED
    world.pass_time(1)
    assert world.state(job_id) is JobStateType.FAILED
    assert message(world, job_id) == "no node took it for 30 s. no node has joined the cluster"
    assert world.words(job_id) == "888"


def test_a_node_that_joins_in_time_ends_the_waiting() -> None:
    world = World()
    job_id = world.submit(a_job())
    world.pass_time(20)
    node = SimNode(world, "n1")
    node.sync()
    assert (world.state(job_id), message(world, job_id)) == (JobStateType.RUNNING, "")
    keep_alive(world, [node], 40)
    assert world.state(job_id) is JobStateType.RUNNING


def test_a_job_that_no_node_can_ever_take_fails_after_30_seconds_with_every_reason() -> None:
    world = World()
    nodes = [SimNode(world, "n1"), SimNode(world, "n2"), SimNode(world, "n3", info=a_node_info("n3", cpu=4))]
    for node in nodes:
        node.sync()
    job_id = world.submit(a_job(cpu="8"))
    words = "each of 2 nodes has 2 CPU in all, needs 8; node n3 has 4 CPU in all, needs 8 (3 nodes looked at)"
    assert message(world, job_id) == f"Job queued. {words}"
    keep_alive(world, nodes, 29)
    assert world.state(job_id) is JobStateType.QUEUED
    keep_alive(world, nodes, 1)
    assert world.state(job_id) is JobStateType.FAILED
    assert message(world, job_id) == f"no node took it for 30 s. {words}"


@pytest.mark.parametrize("limit", [5, 90])
def test_a_queue_timeout_of_its_own_goes_before_the_30_seconds(limit: int) -> None:
    world = World()
    node = SimNode(world, "n1")
    node.sync()
    job_id = world.submit(a_job(engine="docker", timeouts=TimeoutConfig(queue_timeout=limit)))
    keep_alive(world, [node], limit - 1)
    assert world.state(job_id) is JobStateType.QUEUED
    keep_alive(world, [node], 1)
    assert world.state(job_id) is JobStateType.FAILED
    assert message(world, job_id).startswith(f"no node took it for {limit} s. node n1 does not support docker")


def test_a_job_waits_for_ever_for_nodes_that_are_merely_busy() -> None:
    world = World()
    node = SimNode(world, "n1", cpu=1)
    node.sync()
    world.submit(a_job("first", count=1))
    waits = world.submit(a_job("second", count=1))
    assert message(world, waits) == "Job queued. node n1 has 0 CPU free, needs 1 (1 node looked at)"
    keep_alive(world, [node], 50)
    assert world.state(waits) is JobStateType.QUEUED
    node.succeed(node.running()[0])
    node.sync()
    assert world.state(waits) is JobStateType.RUNNING


def test_a_queue_timeout_ends_the_waiting_for_busy_nodes_too() -> None:
    world = World()
    node = SimNode(world, "n1", cpu=1)
    node.sync()
    world.submit(a_job("first", count=1))
    waits = world.submit(a_job("second", count=1, timeouts=TimeoutConfig(queue_timeout=10)))
    keep_alive(world, [node], 10)
    assert world.state(waits) is JobStateType.FAILED


def test_a_job_that_was_placed_once_waits_for_its_node_to_come_back() -> None:
    world = World()
    node = SimNode(world, "n1")
    node.sync()
    job_id = world.submit(a_job(count=1))
    node.sync()
    world.pass_time(200)
    assert world.state(job_id) is JobStateType.QUEUED
    assert "is disconnected: heartbeat timeout" in message(world, job_id)
    node.sync()
    assert world.state(job_id) is JobStateType.RUNNING


def test_a_job_is_not_called_hopeless_beside_a_node_that_is_only_busy() -> None:
    world = World()
    nodes = [SimNode(world, "n1", cpu=1), SimNode(world, "n2", info=a_node_info("n2", engines=("wasm",)))]
    for node in nodes:
        node.sync()
    world.submit(a_job("first", count=1))
    waits = world.submit(a_job("second", count=1))
    keep_alive(world, nodes, 40)
    assert world.state(waits) is JobStateType.QUEUED


def test_a_job_that_only_waits_for_its_backoff_is_running() -> None:
    world = World()
    node = SimNode(world, "n1")
    node.sync()
    job_id = world.submit(a_job(count=1, timeouts=TimeoutConfig(queue_timeout=1)))
    node.sync()
    node.fail(node.running()[0])
    node.sync()
    assert world.words(job_id) == "2"
    assert world.state(job_id) is JobStateType.RUNNING


def test_no_more_than_five_reasons_are_listed() -> None:
    refusals: dict[str, Refusal | None] = {
        f"n{n}": Refusal(NoRoom.BUSY, f"has 0.{n} CPU free, needs 1") for n in range(1, 8)
    }
    refusals["n8"] = Refusal(NoRoom.BUSY, "has 0.1 CPU free, needs 1")
    assert reasons_of(refusals) == (
        "each of 2 nodes has 0.1 CPU free, needs 1; node n2 has 0.2 CPU free, needs 1; node n3 has 0.3 CPU free, needs 1; "
        "node n4 has 0.4 CPU free, needs 1; node n5 has 0.5 CPU free, needs 1; 2 more reasons (8 nodes looked at)"
    )


def test_a_job_that_no_connected_node_could_take_fails_thirty_seconds_after_the_last_that_could_left() -> None:
    world = World(lease=30)
    node = SimNode(world, "n1", cpu=1)
    node.sync()
    busy = world.submit(a_job("busy", count=1, cpu="1"))
    node.sync()
    job_id = world.submit(a_job("waits", count=1, cpu="1"))
    for _ in range(20):
        world.pass_time(10)
        node.sync()
    assert world.state(job_id) is JobStateType.QUEUED
    world.pass_time(59)
    assert world.state(job_id) is JobStateType.QUEUED
    world.pass_time(2)
    assert (world.state(busy), world.state(job_id)) == (JobStateType.QUEUED, JobStateType.FAILED)
