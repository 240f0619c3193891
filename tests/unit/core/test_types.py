"""Job types besides batch, and partitions that a retry asked something different for."""

import time

import pytest
from msgspec.structs import replace

from orchestrator.contract.agent import End
from orchestrator.contract.execution import Cause, ExecutionState
from orchestrator.contract.ids import JobId, NodeId
from orchestrator.contract.job import Backoff, Job, JobStateType, JobType, ResourcesConfig, Retry
from orchestrator.core.commands import DeleteNode, Stop, StopPartitions
from orchestrator.core.commands import Retry as RetryPartitions
from orchestrator.core.model import Override
from orchestrator.errors import JobExistsError, TypeChangedError
from tests.helpers.harness import SimNode, World, a_job, a_node_info

QUICK = Retry(max_attempts=2, backoff=Backoff(initial=1, factor=2, max=60, jitter=False))


def typed(kind: JobType, *, count: int = 0, name: str = "") -> Job:
    return replace(a_job(name, count=count, cpu="1", retry=QUICK), type=kind)


def join(world: World, *names: str, cpu: float = 2) -> list[SimNode]:
    nodes = [SimNode(world, name, cpu=cpu) for name in names]
    for node in nodes:
        node.sync()
    return nodes


def work(nodes: list[SimNode]) -> None:
    for node in nodes:
        node.sync()
        node.sync()


def test_an_ops_job_runs_once_on_every_matching_node_and_completes() -> None:
    world = World()
    nodes = join(world, "n1", "n2", "n3")
    other = SimNode(world, "n4", info=a_node_info("n4", engines=("wasm",)))
    other.sync()
    job_id = world.submit(typed(JobType.OPS))
    work(nodes)
    assert sorted(e.node_id for e in world.executions.values()) == ["n1", "n2", "n3"]
    assert [e.index for e in world.executions.values()] == [0, 1, 2]
    for node in nodes:
        node.finish_all()
    assert world.state(job_id) is JobStateType.COMPLETED


def test_an_ops_job_tries_again_on_the_same_node() -> None:
    world = World()
    nodes = join(world, "n1", "n2")
    job_id = world.submit(typed(JobType.OPS))
    work(nodes)
    nodes[0].fail(nodes[0].running()[0])
    nodes[0].sync()
    world.pass_time(1)
    nodes[0].sync()
    assert [e.node_id for e in world.attempts(job_id, 0)] == ["n1", "n1"]
    for node in nodes:
        node.finish_all()
    assert world.state(job_id) is JobStateType.COMPLETED


def test_an_ops_job_takes_in_nodes_that_join_while_it_runs() -> None:
    world = World()
    nodes = join(world, "n1")
    job_id = world.submit(typed(JobType.OPS))
    work(nodes)
    nodes += join(world, "n2")
    work(nodes)
    assert world.words(job_id) == "44"
    for node in nodes:
        node.finish_all()
    assert world.state(job_id) is JobStateType.COMPLETED


@pytest.mark.parametrize("is_placed", [True, False])
def test_an_ops_job_does_not_wait_for_a_node_that_is_gone(*, is_placed: bool) -> None:
    world = World()
    nodes = join(world, "n1", "n2", cpu=1)
    if not is_placed:
        world.submit(a_job("busy", count=2, cpu="1"))
        work(nodes)
    job_id = world.submit(typed(JobType.OPS))
    work(nodes)
    for _ in range(4):
        world.pass_time(10)
        nodes[1].sync()
    nodes[1].finish_all()
    assert world.state(job_id) is JobStateType.FAILED
    assert "partition 0" in world.cluster.jobs[job_id].record.job.state.message


def test_an_ops_job_without_a_matching_node_fails_after_thirty_seconds_with_the_reasons() -> None:
    world = World()
    node = SimNode(world, "n1", info=a_node_info("n1", engines=("wasm",)))
    node.sync()
    job_id = world.submit(typed(JobType.OPS))
    assert world.state(job_id) is JobStateType.QUEUED
    for _ in range(4):
        node.sync()
        world.pass_time(10)
    state = world.cluster.jobs[job_id].record.job.state
    assert state.state_type is JobStateType.FAILED
    assert "does not support process, only wasm" in state.message


def test_a_service_is_begun_again_whatever_ends_it_and_never_ends() -> None:
    world = World()
    (node,) = join(world, "n1")
    job_id = world.submit(typed(JobType.SERVICE, count=1))
    for attempt in range(1, 9):
        node.sync()
        node.sync()
        (execution,) = node.running()
        if attempt % 2:
            node.succeed(execution)
        else:
            node.fail(execution)
        node.sync()
        for _ in range(7):
            world.pass_time(9)
            node.sync()
    assert world.state(job_id) is JobStateType.RUNNING
    ended = world.attempts(job_id, 0)[0]
    assert (ended.state, ended.cause, ended.message) == (
        ExecutionState.FAILED,
        Cause.EXIT,
        "execution completed unexpectedly",
    )


def test_a_service_that_does_not_stay_up_waits_longer_each_time_and_short_again_after_it_was_up() -> None:
    world = World(lease=10_000)
    (node,) = join(world, "n1")
    job_id = world.submit(typed(JobType.SERVICE, count=1))
    waits: list[float] = []
    for seconds in (1, 1, 1, 100, 1):
        node.sync()
        node.sync()
        world.pass_time(seconds)
        end = End(exit_code=1, cause=Cause.EXIT, run_seconds=float(seconds))
        node.end(node.running()[0], end, ExecutionState.FAILED)
        node.sync()
        (due,) = world.cluster.jobs[job_id].due.values()
        waits.append((due - world.now) / 10**9)
        world.pass_time(60)
    assert waits == [1, 2, 4, 1, 2]


def test_a_stopped_service_is_stopped() -> None:
    world = World()
    (node,) = join(world, "n1")
    job_id = world.submit(typed(JobType.SERVICE, count=2))
    work([node])
    world.do(Stop(job_id=job_id, reason=""))
    node.finish_all()
    assert (world.state(job_id), world.words(job_id)) == (JobStateType.STOPPED, "88")


def test_a_daemon_follows_nodes_as_they_join_and_return() -> None:
    world = World()
    nodes = join(world, "n1")
    job_id = world.submit(typed(JobType.DAEMON))
    work(nodes)
    nodes += join(world, "n2")
    work(nodes)
    assert world.words(job_id) == "44"
    world.pass_time(31)
    assert world.words(job_id) == "22"
    for node in nodes:
        node.restart(keeps=False)
    work(nodes)
    work(nodes)
    assert world.words(job_id) == "44"
    assert {e.node_id for e in world.attempts(job_id, 1)} == {"n2"}


def test_a_daemon_without_nodes_waits_for_the_first() -> None:
    world = World()
    job_id = world.submit(typed(JobType.DAEMON))
    world.pass_time(10_000)
    assert world.state(job_id) is JobStateType.PENDING
    nodes = join(world, "n1")
    work(nodes)
    assert world.words(job_id) == "4"


def test_a_deleted_node_is_followed_no_more_until_it_joins_again() -> None:
    world = World()
    nodes = join(world, "n1", "n2")
    job_id = world.submit(typed(JobType.DAEMON))
    work(nodes)
    world.do(DeleteNode(node_id=NodeId("n2")))
    assert world.words(job_id) == "42"
    nodes[1].restart(keeps=False)
    nodes[1].sync()
    work(nodes)
    assert world.words(job_id) == "44"


def test_a_client_cannot_take_the_id_of_another_job() -> None:
    world = World()
    wanted = replace(typed(JobType.SERVICE, count=1, name="one"), id=JobId("mine"))
    assert world.submit(wanted) == "mine"
    with pytest.raises(JobExistsError, match="job already exists: mine"):
        world.submit(replace(wanted, name="two"))


def test_a_retry_with_more_memory_is_placed_where_that_fits_and_keeps_it() -> None:
    world = World()
    small = SimNode(world, "small", info=a_node_info("small", memory=10**9))
    large = SimNode(world, "large", info=a_node_info("large", memory=10**10))
    small.sync()
    job_id = world.submit(a_job(count=1, retry=Retry(max_attempts=1)))
    small.sync()
    small.fail(small.running()[0], Cause.OOM, 137)
    small.sync()
    large.sync()
    override = Override(resources=ResourcesConfig(memory="5gb"), max_attempts=2)
    world.do(RetryPartitions(job_id=job_id, partitions=(range(1),), override=override))
    (_, second) = world.attempts(job_id, 0)
    assert (second.node_id, second.override) == ("large", override)
    assert world.cluster.nodes[large.id].free().memory == 5 * 10**9
    large.sync()
    large.fail(second.id)
    large.sync()
    world.pass_time(2)
    large.sync()
    assert [e.override for e in world.attempts(job_id, 0)] == [None, override, override]


def test_a_retry_avoids_the_nodes_it_names_and_a_plain_one_takes_that_back() -> None:
    world = World()
    nodes = join(world, "n1", "n2")
    job_id = world.submit(a_job(count=2, cpu="1", retry=Retry(max_attempts=1)))
    world.do(StopPartitions(job_id=job_id, partitions=(range(2),)))
    work(nodes)
    work(nodes)
    avoid = Override(avoid=(NodeId("n1"),))
    world.do(RetryPartitions(job_id=job_id, partitions=(range(2),), override=avoid))
    assert [world.attempts(job_id, index)[-1].node_id for index in (0, 1)] == ["n2", "n2"]
    world.do(StopPartitions(job_id=job_id, partitions=(range(2),)))
    work(nodes)
    work(nodes)
    world.do(RetryPartitions(job_id=job_id, partitions=(range(2),)))
    assert world.cluster.jobs[job_id].overrides == {}
    assert {world.attempts(job_id, index)[-1].node_id for index in (0, 1)} == {"n1"}


@pytest.mark.parametrize("kind", [JobType.OPS, JobType.SERVICE, JobType.DAEMON])
def test_a_job_cannot_become_one_of_another_type(kind: JobType) -> None:
    world = World()
    join(world, "n1")
    world.submit(a_job("mine"))
    with pytest.raises(TypeChangedError, match=f"job mine is a batch job and cannot become a {kind} job"):
        world.submit(typed(kind, count=1 if kind is JobType.SERVICE else 0, name="mine"), is_forced=True)


def test_many_overridden_partitions_cost_a_pass_no_more_than_one() -> None:
    world = World()
    world.check_no_room_is_wasted = lambda: None  # type: ignore[method-assign]
    world.cluster.check = lambda: None  # type: ignore[method-assign]
    (node,) = join(world, "n1", cpu=1)
    job_id = world.submit(a_job(count=50_000, cpu="1", retry=Retry(max_attempts=1)))
    world.do(Stop(job_id=job_id, reason=""))
    override = Override(resources=ResourcesConfig(memory="2mb"))
    world.do(RetryPartitions(job_id=job_id, partitions=(range(1, 50_000),), override=override))
    work([node])
    began = time.perf_counter()
    for _ in range(20):
        for execution in node.running():
            node.succeed(execution)
        node.sync()
    assert time.perf_counter() - began < 5, "each pass looks at every partition that waits"
    assert len(node.started) > 10


def test_overridden_partitions_do_not_keep_the_others_from_room_that_fits_them() -> None:
    world = World()
    (node,) = join(world, "n1", cpu=2)
    job_id = world.submit(a_job(count=3, cpu="1", retry=Retry(max_attempts=1)))
    world.do(Stop(job_id=job_id, reason=""))
    work([node])
    large = Override(resources=ResourcesConfig(cpu="64"))
    world.do(RetryPartitions(job_id=job_id, partitions=(range(1),), override=large))
    world.do(RetryPartitions(job_id=job_id, partitions=(range(1, 3),)))
    work([node])
    assert world.words(job_id) == "244"
