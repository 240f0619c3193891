"""A whole cluster in one process: the real reactor and real agents on simulated time, with everything that can go wrong.

A step is one thing that happens: a message arrives, a program ends, somebody asks for something, something breaks. After each
the oracle looks at what always holds; at the end faults cease, and everything has to end. `make soak` plays more of the same.
"""

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.journal import Started
from orchestrator.contract.execution import Cause, ExecutionState
from orchestrator.contract.job import Backoff, JobStateType, Retry
from orchestrator.core.commands import Decision, Reply, Stop
from orchestrator.core.commands import Retry as RetryPartitions
from orchestrator.core.decide import decide
from orchestrator.core.draft import Draft
from orchestrator.errors import CannotStopError
from tests.helpers.harness import a_job
from tests.helpers.simulation.faults import WEIGHTS, Faults, begin, play
from tests.helpers.simulation.seams import replaced
from tests.helpers.simulation.world import World

HISTORIES = 2000
GROUPS = 20


@pytest.mark.timeout(900)  # ten seconds of work, on a machine that has nothing else to do
@pytest.mark.parametrize("group", range(GROUPS))
def test_random_histories_keep_every_promise(group: int) -> None:
    for seed in range(group, HISTORIES, GROUPS):
        play(seed)


def test_the_same_seed_plays_the_same_history() -> None:
    first: list[str] = []
    second: list[str] = []
    play(7, trace=first.append)
    play(7, trace=second.append)
    assert first == second


class History(RuleBasedStateMachine):
    """The same faults, chosen by hypothesis, which makes what fails short."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(random.Random(0), lease=10, fence=40)
        self._seams = replaced(self.world)
        self._seams.__enter__()

    @initialize(seed=st.integers(0, 10**6))
    def begins(self, seed: int) -> None:
        self.world.rng.seed(seed)
        begin(self.world)
        self.faults = Faults(self.world)

    @rule(kind=st.sampled_from([kind for kind, weight in WEIGHTS.items() for _ in range(1 + (weight > 3))]))
    def happens(self, kind: Callable[[Faults], None]) -> None:
        kind(self.faults)

    @rule(number=st.integers(1, 20))
    def events_follow(self, number: int) -> None:
        for _ in range(number):
            self.faults.next_event()
            self.world.oracle.step()

    @invariant()
    def every_promise_is_kept(self) -> None:
        self.world.oracle.step()

    def teardown(self) -> None:
        try:
            if self.world.machines:
                self.world.settle()
        finally:
            self.world.close()
            self._seams.__exit__(None, None, None)


History.TestCase.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHistory = History.TestCase


@pytest.fixture
def calm() -> Iterator[World]:
    """Two machines, in which nothing goes wrong but what the test does, and a job whose programs run 10 to 90 seconds."""
    world = World(random.Random(1), lease=10, fence=80)
    world.failing_share = world.network.trouble = 0.0
    world.run_seconds = (20.0, 30.0, 60.0)
    with replaced(world):
        world.orchestrator.start()
        world.add_machine(2.0)
        world.add_machine(2.0)
        world.time.pass_time(1)
        retry = Retry(max_attempts=1, max_lost=0, backoff=Backoff(initial=1, factor=1, max=1, jitter=False))
        world.submit(a_job("calm", count=4, retry=retry))
        try:
            passes(world, 5)
            yield world
        finally:
            world.close()


def passes(world: World, seconds: float) -> None:
    end = world.time.now + seconds
    while world.time.advance(end):
        world.oracle.step()


def restart_agents(world: World) -> None:
    for machine in world.machines:
        machine.kill_agent()
    passes(world, 3)
    for machine in world.machines:
        machine.start_agent()


def restart_orchestrator(world: World) -> None:
    world.orchestrator.kill()
    passes(world, 40)


def restart_in_commit(world: World) -> None:
    world.orchestrator.crash = "after"
    passes(world, 60)


def pause_orchestrator(world: World) -> None:
    """Three leases, less than a fence."""
    assert world.orchestrator.process is not None
    world.orchestrator.process.freeze()
    passes(world, 30)
    world.orchestrator.process.thaw()


def pause_orchestrator_beyond_reach(world: World) -> None:
    """As before, but nothing waits in its sockets when it goes on: agents have to be given time to try again."""
    names = [machine.name for machine in world.machines]
    world.network.cut.update(names)
    pause_orchestrator(world)
    passes(world, 0.01)
    world.network.cut.clear()


def step_clock(world: World) -> None:
    world.wall_step += 3600
    passes(world, 15)
    world.wall_step -= 7200


def step_clock_and_restart(world: World) -> None:
    world.wall_step -= 3600
    restart_orchestrator(world)


def pause_agents(world: World) -> None:
    """Less than a lease."""
    frozen = [machine.process for machine in world.machines if machine.process is not None]
    for process in frozen:
        process.freeze()
    passes(world, 6)
    for process in frozen:
        process.thaw()


def restart_agents_after_the_end(world: World) -> None:
    """Programs end while nobody is reachable, and so the agent alone knows how; then it is killed."""
    world.network.cut.update(machine.name for machine in world.machines)
    for machine in world.machines:
        machine.keeps_codes = False
        for program in machine.running():
            machine.end_program(program)
    passes(world, 1)
    world.network.cut.clear()
    restart_agents(world)


HARMLESS = [
    restart_agents, restart_agents_after_the_end, pause_agents, restart_orchestrator, restart_in_commit,
    pause_orchestrator, pause_orchestrator_beyond_reach, step_clock, step_clock_and_restart,
]  # fmt: skip


@pytest.mark.parametrize("what", HARMLESS, ids=lambda what: what.__name__)
def test_running_partitions_go_on_and_nothing_is_run_again(calm: World, what: Callable[[World], None]) -> None:
    what(calm)
    calm.settle()
    executions = calm.orchestrator.durable._executions.values()
    assert [(e.attempt, e.state) for e in executions] == [(1, ExecutionState.COMPLETED)] * 4


def test_a_node_that_hears_nothing_stops_its_work_at_its_fence(calm: World) -> None:
    calm.run_seconds = (1000.0,)
    calm.submit(a_job("long", count=4, cpu="2"))
    passes(calm, 120)
    assert [len(machine.running()) for machine in calm.machines] == [1, 1]
    calm.network.cut.update(machine.name for machine in calm.machines)
    passes(calm, 70)
    assert [len(machine.running()) for machine in calm.machines] == [1, 1]
    passes(calm, 30)
    assert [len(machine.running()) for machine in calm.machines] == [0, 0]


def test_a_node_that_joins_is_given_what_waits_at_once(calm: World) -> None:
    passes(calm, 120)
    calm.submit(a_job("large", cpu="3", count=1))
    passes(calm, 10)
    newcomer = calm.add_machine(3.0)
    passes(calm, 1)
    assert len(newcomer.running()) == 1


def test_work_of_a_machine_that_is_gone_is_done_by_another_though_the_orchestrator_was_restarted(calm: World) -> None:
    calm.orchestrator.kill()
    calm.machines[1].is_gone = True
    calm.machines[1].reboot()
    passes(calm, 60)
    calm.settle()
    lost = [e for e in calm.orchestrator.durable._executions.values() if e.cause is Cause.NODE_LOST]
    assert len(lost) == 2


def test_a_refused_command_leaves_nothing_and_harms_no_other_of_its_batch(
    calm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_done(draft: Draft, command: Decision) -> Reply:
        if isinstance(command, Stop) and command.reason == "half":
            decide(draft, command)
            raise CannotStopError(command.job_id, JobStateType.RUNNING)
        return decide(draft, command)

    (job_id,) = calm.known_jobs()
    monkeypatch.setattr("orchestrator.reactor.decide", half_done)
    calm.orchestrator.is_slow = True
    calm.submit(a_job("keeps a commit busy", count=1))
    passes(calm, 0.01)
    calm.ask(Stop(job_id=job_id, reason="half"))
    calm.submit(a_job("beside it", count=1))
    calm.orchestrator.is_slow = False
    calm.settle()
    states = {versions[1].job.name: versions[1].job.state for versions in calm.orchestrator.durable._jobs.values()}
    assert {name: state.state_type for name, state in states.items()} == dict.fromkeys(
        ["calm", "keeps a commit busy", "beside it"], JobStateType.COMPLETED
    )


def test_a_whole_job_that_is_retried_is_placed_at_once(calm: World) -> None:
    calm.submit(a_job("waits", count=2))
    passes(calm, 1)
    job_id = calm.job_ids[-1]
    calm.ask(Stop(job_id=job_id, reason="not now"))
    passes(calm, 120)
    assert not any(machine.running() for machine in calm.machines)
    calm.ask(RetryPartitions(job_id=job_id, partitions=(range(2),)))
    passes(calm, 1)
    assert sum(len(machine.running()) for machine in calm.machines) == 2


def test_what_an_engine_cannot_be_asked_about_is_named_until_it_can_though_it_was_stopped(calm: World) -> None:
    """Each program runs, its agent is killed before the journal has the start, and the next one finds no engine."""
    before = {machine.name: machine.running()[0].launch.execution_id for machine in calm.machines}
    for machine in calm.machines:
        machine.kill_agent()
        machine.journal[:] = [line for line in machine.journal if not isinstance(line, Started)]
        machine.is_engine_away = True
        machine.start_agent()
    passes(calm, 3)
    (job_id,) = calm.known_jobs()
    calm.ask(Stop(job_id=job_id, reason="enough"))
    passes(calm, 12)
    assert calm.orchestrator.reactor is not None
    assert set(before.values()) <= set(calm.orchestrator.reactor.cluster.executions)
    for machine in calm.machines:
        machine.engine_returns()
    passes(calm, 15)  # some have to be killed
    assert not any(machine.running() for machine in calm.machines)
    calm.settle()
