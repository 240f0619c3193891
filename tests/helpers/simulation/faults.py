"""What may happen to a cluster between two steps, and the random history that is made of it."""

import itertools
import random
from collections.abc import Callable

from node.journal import Opened
from orchestrator.contract.node import Resources
from orchestrator.core.commands import Retry, Stop, StopPartitions
from tests.helpers.simulation.ledger import BrokenPromiseError
from tests.helpers.simulation.machine import Machine
from tests.helpers.simulation.seams import replaced
from tests.helpers.simulation.world import World


class Faults:
    """Everything that clients, operators and bad luck do. Each method is one thing that happens."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = world.rng
        self._twins = 0

    def machine(self) -> Machine:
        """Any machine."""
        return self.rng.choice(self.world.machines)

    def leases(self, *lengths: float) -> float:
        """Seconds: one of these numbers of leases. A fence is four."""
        return self.rng.choice(lengths) * self.world.orchestrator.lease

    # Time.

    def next_event(self) -> None:
        """A message arrives, a program ends, somebody starts something again."""
        self.world.time.advance(self.world.time.now + 2.0)

    def time_passes(self) -> None:
        """Everything that is due for a while."""
        self.world.time.pass_time(self.rng.choice([0.5, 2.0, 5.0]))

    def long_time_passes(self) -> None:
        """Longer than a lease, sometimes than a fence."""
        self.world.time.pass_time(self.leases(1.2, 2.5, 6.0))

    # Clients.

    def submit(self) -> None:
        """A new job, or an update of one that is known by its name."""
        token = self.world.new_id() if self.rng.random() < 0.3 else ""
        job = self.world.random_job()
        is_forced = self.rng.random() < 0.5
        self.world.submit(job, is_forced=is_forced, token=token)
        if token and self.rng.random() < 0.5:
            self.world.submit(job, is_forced=is_forced, token=token)

    def stop(self) -> None:
        """Stop a job."""
        jobs = self.world.known_jobs()
        if jobs:
            self.world.ask(Stop(job_id=self.rng.choice(jobs), reason="enough"))

    def stop_partitions(self) -> None:
        """Stop some partitions."""
        jobs = self.world.known_jobs()
        if jobs:
            first = self.rng.randrange(4)
            self.world.ask(StopPartitions(job_id=self.rng.choice(jobs), partitions=(range(first, first + 2),)))

    def retry(self) -> None:
        """Retry partitions, sometimes completed ones too."""
        jobs = self.world.known_jobs()
        if not jobs:
            return
        job_id = self.rng.choice(jobs)
        first = self.rng.randrange(4)
        includes = self.rng.random() < 0.3
        self.world.oracle.ledger.retried[job_id] = self.world.oracle.ledger.retried.get(job_id, 0) + 1
        if includes:
            self.world.oracle.ledger.retried_completed.add(job_id)
        self.world.ask(Retry(job_id=job_id, partitions=(range(first, first + 3),), include_completed=includes))

    # The network.

    def weather_changes(self) -> None:
        """From now on messages are lost, late and repeated more or less often."""
        self.world.network.trouble = self.rng.choice([0.0, 0.1, 0.1, 0.3, 0.6])

    def cut(self) -> None:
        """A machine reaches nobody for a while."""
        name = self.machine().name
        self.world.network.cut.add(name)
        self.world.time.later(self.leases(0.3, 1.5, 6.0), self.world.network.cut.discard, name)

    # Agents and their machines.

    def kill_agent(self, before: Callable[[Machine], None] = lambda _: None) -> None:
        """kill -9 of an agent, which is started again at once, soon, or after its lease or fence."""
        machine = self.machine()
        machine.kill_agent()
        before(machine)
        self.world.time.later(self.leases(0.001, 0.1, 0.5, 2.0, 6.0), machine.start_agent)

    def freeze_agent(self) -> None:
        """SIGSTOP of an agent, for less or longer than its lease."""
        machine = self.machine()
        process = machine.process
        if process is None or process.is_dead or process.is_frozen:
            return

        def thaw() -> None:
            machine.woken = self.world.time.now
            process.thaw()

        process.freeze()
        self.world.time.later(self.leases(0.2, 1.2, 6.0), thaw)

    def lose_journal(self) -> None:
        """An agent is killed, and its data directory is gone when it comes back."""

        def forget(machine: Machine) -> None:
            machine.journal.clear()
            machine.directories.clear()

        self.kill_agent(forget)

    def foreign_journal(self) -> None:
        """An agent comes back with the journal of another cluster; later somebody gives it an empty one."""
        machine = self.machine()
        opened = Opened(cluster_id="c-other", session="s-other", lease_seconds=10.0, fence_seconds=40.0)
        machine.kill_agent()
        machine.journal[:] = [opened]
        machine.start_agent()

        def mend() -> None:
            if mend not in self.world.pending:
                return
            self.world.pending.remove(mend)
            machine.kill_agent()
            machine.journal.clear()
            machine.directories.clear()
            machine.start_agent()

        self.world.pending.append(mend)
        self.world.time.later(self.leases(0.1, 3.0, 9.0), mend)

    def reboot(self) -> None:
        """A machine goes down and comes back: nothing runs on it, the end of its journal may be missing."""
        machine = self.machine()
        machine.reboot()
        self.world.time.later(self.leases(0.1, 2.0), machine.start_agent)

    def resize(self) -> None:
        """An agent comes back with another capacity."""

        def change(machine: Machine) -> None:
            machine.capacity = Resources(cpu=self.rng.choice([1.0, 2.0, 3.0]), memory=10**9)

        self.kill_agent(change)

    def leave(self) -> None:
        """An agent is told to end, stops its work and says so; it comes back later."""
        machine = self.machine()
        if machine.agent is None or not machine.is_alive:
            return
        machine.is_leaving = True
        machine.agent.leave()
        assert machine.process is not None
        machine.process.drain()

    def twin(self) -> None:
        """A second agent of the same name, on another machine."""
        if self._twins >= 2:
            return
        self._twins += 1
        twin = self.world.add_machine(2.0, name=self.machine().name)
        twin.is_wanted = False

    def vanish(self) -> None:
        """A machine goes down and never comes back. One always stays."""
        machine = self.machine()
        if machine is not self.world.machines[0]:
            machine.is_gone = True
            machine.reboot()

    def fill_disk(self) -> None:
        """A machine's disk is full for a while."""
        machine = self.machine()
        machine.is_disk_full = True

        def free() -> None:
            machine.is_disk_full = False
            machine.start_agent()

        self.world.time.later(self.leases(0.1, 1.0, 5.0), free)

    def engine_goes(self) -> None:
        """A machine's engine cannot be asked for a while."""
        machine = self.machine()
        machine.is_engine_away = True

        self.world.time.later(self.leases(0.1, 1.0), machine.engine_returns)

    # The orchestrator.

    def kill_orchestrator(self) -> None:
        """kill -9, between any two events."""
        self.world.orchestrator.kill()

    def kill_in_commit(self) -> None:
        """kill -9 between decide and commit, or between commit and everything that follows."""
        self.world.orchestrator.crash = self.rng.choice(["before", "after"])

    def freeze_orchestrator(self) -> None:
        """It is not running for less or more than a lease."""
        process = self.world.orchestrator.process
        if process is None or process.is_dead or process.is_frozen:
            return
        process.freeze()
        self.world.time.later(self.leases(0.15, 1.2, 4.5), process.thaw)

    def slow_commits(self) -> None:
        """Commits take seconds, or no longer do: what arrives meanwhile is carried out together."""
        self.world.orchestrator.is_slow = not self.world.orchestrator.is_slow

    def fill_store(self) -> None:
        """The disk of the store is full for a while: commits fail, and the process ends each time."""
        self.world.orchestrator.is_disk_full = True

        def free() -> None:
            self.world.orchestrator.is_disk_full = False

        self.world.time.later(self.leases(0.1, 1.5), free)

    def step_clock(self) -> None:
        """The wall clock is set an hour forwards or back."""
        self.world.wall_step += self.rng.choice([-3600.0, 3600.0])

    def back_up(self) -> None:
        """A copy of the store is kept."""
        self.world.copy_store()

    def restore(self) -> None:
        """An older copy of the store is put in the place of the current one."""
        if self.world.copies:
            self.world.orchestrator.restore(self.world.copies.pop(self.rng.randrange(len(self.world.copies))))
            self.world.forget_answers()


WEIGHTS: dict[Callable[[Faults], None], float] = {
    Faults.next_event: 72, Faults.time_passes: 3, Faults.long_time_passes: 0.5,
    Faults.submit: 4, Faults.stop: 0.5, Faults.stop_partitions: 0.7, Faults.retry: 1.5,
    Faults.weather_changes: 0.7, Faults.cut: 0.6,
    Faults.kill_agent: 1.2, Faults.freeze_agent: 0.8, Faults.lose_journal: 0.3, Faults.foreign_journal: 0.1,
    Faults.reboot: 0.3, Faults.resize: 0.4, Faults.leave: 0.3, Faults.twin: 0.2, Faults.vanish: 0.15, Faults.fill_disk: 0.4,
    Faults.engine_goes: 0.4,
    Faults.kill_orchestrator: 0.7, Faults.kill_in_commit: 1.0, Faults.freeze_orchestrator: 0.4, Faults.slow_commits: 0.3,
    Faults.fill_store: 0.2, Faults.step_clock: 0.3, Faults.back_up: 0.4, Faults.restore: 0.15,
}  # fmt: skip
"""How often each is drawn."""


def begin(world: World) -> None:
    """A cluster of one to three machines, with a job."""
    rng = world.rng
    world.orchestrator.start()
    for _ in range(rng.choice([1, 2, 3, 3])):
        world.add_machine(rng.choice([1.0, 2.0, 3.0]), keeps_codes=rng.random() < 0.6)
    world.time.pass_time(0.5)
    world.submit(world.random_job())


STEPS = 200


def play(seed: int, steps: int = STEPS, trace: Callable[[str], None] | None = None) -> World:
    """Play one history of so many steps, and let it end. Raises BrokenPromiseError with the seed."""
    rng = random.Random(seed)
    lease = rng.choice([6.0, 15.0, 30.0])
    world = World(rng, lease=lease, fence=4 * lease)
    kinds, weights = list(WEIGHTS), list(itertools.accumulate(WEIGHTS.values()))
    step = 0
    with replaced(world):
        try:
            begin(world)
            faults = Faults(world)
            for step in range(1, steps + 1):
                kind = world.rng.choices(kinds, cum_weights=weights)[0]
                if trace:
                    trace(f"{step} {world.time.now:.3f} {kind.__name__}")
                kind(faults)
                world.oracle.step()
            world.settle()
        except Exception as error:
            message = f"seed {seed}, step {step} of {steps}, at {world.time.now:.3f} s: {error}"
            raise BrokenPromiseError(message) from error
        finally:
            world.close()
    return world
