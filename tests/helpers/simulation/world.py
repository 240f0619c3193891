"""One simulated cluster: machines with real agents, a network, a real reactor on a durable store, clients, and chance."""

import random
from collections.abc import Callable
from typing import Any

import msgspec

from orchestrator.contract.ids import ExecutionId, JobId
from orchestrator.contract.job import Backoff, Job, Retry, TimeoutConfig
from orchestrator.contract.node import Resources
from orchestrator.contract.partitions import PartitionState
from orchestrator.core.commands import Acted, Decision, Evaluated, Reply, Submit, Submitted
from orchestrator.errors import OrchestratorError
from orchestrator.store.memory import MemoryStore
from tests.helpers.harness import a_job
from tests.helpers.simulation.machine import Machine
from tests.helpers.simulation.network import Network
from tests.helpers.simulation.oracle import Oracle, at_once
from tests.helpers.simulation.orchestrator import Orchestrator
from tests.helpers.simulation.timeline import Timeline

MB = 10**6
LEASES_TO_END, SECONDS_TO_END = 20, 120.0
"""Once faults have ceased, everything has to end in so many leases and simulated seconds; programs may run nine leases."""


class World:
    """Everything of one history. Its real code sees it inside `seams.replaced(world)`."""

    def __init__(self, rng: random.Random, *, lease: float = 10.0, fence: float = 40.0) -> None:
        self.rng = rng
        self.time = Timeline()
        self.wall_step = 0.0
        """Seconds by which somebody has set the clock."""
        self.cluster_id = "c-1"
        self.failing_share = 0.1
        """Of starts and uploads that fail; twice as many programs do."""
        self.run_seconds: tuple[float, ...] = (0.01, 0.05, 0.3, 1.0, 4.0, 4.0, 15.0, 6 * lease)
        self.oracle = Oracle(self)
        self.network = Network(self)
        self.machines: list[Machine] = []
        self.job_ids: list[JobId] = []
        self.tokens: dict[str, bytes] = {}
        """Answers that clients got, by token."""
        self.copies: list[MemoryStore] = []
        """Older copies of the store."""
        self._numbers = 0
        self.orchestrator = Orchestrator(self, lease=lease, fence=fence)
        self.pending: list[Callable[[], None]] = []
        """What somebody will mend later; at the end at the latest."""

    def close(self) -> None:
        """Take everything apart."""
        if self.orchestrator.process is not None:
            self.orchestrator.process.kill()
        for machine in self.machines:
            if machine.process is not None:
                machine.process.kill()

    def new_id(self) -> str:
        """An id that looks like a UUID."""
        self._numbers += 1
        return f"00000000-0000-4000-8000-{self._numbers:012d}"

    def add_machine(self, cpu: float, *, keeps_codes: bool = True, name: str = "") -> Machine:
        """A machine with its agent."""
        name = name or f"n{len(self.machines)}"
        machine = Machine(self, name, Resources(cpu=cpu, memory=1000 * MB), keeps_codes=keeps_codes)
        self.machines.append(machine)
        machine.start_agent()
        return machine

    def fate(self, execution_id: ExecutionId) -> tuple[float, int]:
        """How long a program runs, and how it ends."""
        del execution_id
        rng = self.rng
        seconds = rng.choice(self.run_seconds) * rng.uniform(0.5, 1.5)
        code = 0 if rng.random() > 2 * self.failing_share else rng.choice([1, 7, 137, 139])
        return seconds, code

    def wants_result(self, execution_id: ExecutionId) -> bool:
        """Whether the orchestrator takes the results of an execution now."""
        reactor = self.orchestrator.reactor
        return reactor is not None and reactor._cluster is not None and execution_id in reactor.cluster.executions

    def random_job(self) -> Job:
        """A job as somebody may submit it."""
        rng = self.rng
        backoff = Backoff(initial=rng.choice([0.5, 5.0]), factor=2.0, max=20.0, jitter=rng.random() < 0.5)
        retry = Retry(max_attempts=rng.randint(1, 3), max_lost=rng.choice([0, 2, 10]), backoff=backoff)
        timeouts = TimeoutConfig(
            total_timeout=rng.choice([0, 0, 0, 0, 30]),
            queue_timeout=rng.choice([0, 0, 0, 20]),
            execution_timeout=rng.choice([0, 0, 10]),
        )
        job = a_job(
            rng.choice(["", "", "a", "b"]),
            count=rng.choice([1, 2, 3, 5, 8]),
            cpu=rng.choice(["0.5", "1", "2"]),
            priority=rng.choice([0, 0, 1]),
            retry=retry,
            timeouts=timeouts,
        )
        if rng.random() < 0.3:
            publisher = msgspec.structs.replace(job.task.publisher, type="orchestrator")
            job = msgspec.structs.replace(job, tasks=(msgspec.structs.replace(job.task, publisher=publisher),))
        return job

    def ask(self, command: Decision, token: str = "") -> None:
        """A client asks for something; what it is answered has to be durable."""
        orchestrator = self.orchestrator

        async def work() -> None:
            reactor = orchestrator.reactor
            assert reactor is not None
            try:
                if token:
                    self._answered_once(token, await reactor.carry_out_once(command, token, encode))
                else:
                    self._answered(command, await reactor.carry_out(command))
            except OrchestratorError:
                return

        orchestrator.spawn(work)

    def _answered_once(self, token: str, body: bytes) -> None:
        known = self.tokens.setdefault(token, body)
        if known != body:
            self.oracle.broken(f"token {token} was answered {known!r} and {body!r}")
        kept = at_once(self.orchestrator.durable.answer(token))
        if kept is None or kept.body != body:
            self.oracle.broken(f"the answer {body!r} is not durable")

    def _answered(self, command: Decision, reply: Reply) -> None:
        """A client has its answer: what it says is in the store."""
        store = self.orchestrator.durable
        match reply:
            case Submitted(job_id=job_id, version=version):
                if version not in store._jobs.get(job_id, {}):
                    self.oracle.broken(f"{job_id} version {version} was acknowledged and is not durable")
                if job_id not in self.job_ids:
                    self.job_ids.append(job_id)
            case Evaluated() | Acted():
                reactor = self.orchestrator.reactor
                if reactor is not None and store._commit < reactor.commit:
                    self.oracle.broken(f"{command} was answered before it was durable")
            case None:
                return

    def submit(self, job: Job, *, is_forced: bool = False, token: str = "") -> None:
        """Submit a job, or an update of one."""
        self.ask(Submit(job=job, is_forced=is_forced), token)

    def known_jobs(self) -> list[JobId]:
        """Jobs in the store."""
        return sorted(self.orchestrator.durable._jobs)

    def copy_store(self) -> None:
        """Keep a copy of the store as it is now, as a backup does."""
        store = self.orchestrator.durable
        other = MemoryStore()
        for name, value in vars(store).items():
            copied = (
                {key: dict(inner) if isinstance(inner, dict) else inner for key, inner in value.items()}
                if isinstance(value, dict)
                else value
            )
            setattr(other, name, copied)
        self.copies.append(other)
        del self.copies[:-3]

    def forget_answers(self) -> None:
        """After an older store was restored nothing that was answered since counts."""
        self.tokens.clear()
        self.oracle.restored()
        store = self.orchestrator.durable
        self.job_ids = [job_id for job_id in self.job_ids if job_id in store._jobs]

    # The end.

    def settle(self) -> None:
        """Faults cease. Every job has to end, nothing to run anywhere, and nothing to be left in journals."""
        self.failing_share = 0.0
        self.run_seconds = (0.05, 1.0)
        self.network.trouble = 0.0
        self.network.cut.clear()
        orchestrator = self.orchestrator
        orchestrator.is_disk_full = orchestrator.is_slow = False
        orchestrator.crash = ""
        if orchestrator.process is not None:
            orchestrator.process.thaw()
        orchestrator.start()
        for mend in list(self.pending):
            mend()
        if self.machines[0].capacity.cpu < 2:  # one node on which every job fits
            self.machines[0].kill_agent()
            self.machines[0].capacity = Resources(cpu=2.0, memory=1000 * MB)
        for machine in self.machines:
            machine.is_disk_full = False
            machine.engine_returns()
            if machine.process is not None:
                machine.process.thaw()
                machine.woken = self.time.now
            if machine.is_wanted and not machine.is_gone:
                machine.start_agent()
                continue
            machine.is_gone = True
            if machine.agent is not None and machine.is_alive:
                machine.is_leaving = True
                machine.agent.leave()
            else:
                machine.reboot()
        longest = LEASES_TO_END * orchestrator.lease + SECONDS_TO_END
        end = self.time.now + longest
        while not self.is_over():
            self.oracle.step()
            if self.time.now >= end:
                self.oracle.broken(f"not over {longest:.0f} s after the last fault: {self.left()}")
            self.time.advance(end)
        self.oracle.step()
        if orchestrator.reactor is not None:
            self.oracle.outlives(orchestrator.reactor)

    def is_over(self) -> bool:
        """Whether all jobs have ended and all machines are empty."""
        reactor = self.orchestrator.reactor
        if reactor is None or reactor._cluster is None or reactor.cluster.executions:
            return False
        if any(not entry.is_settled for entry in reactor.cluster.jobs.values()):
            return False
        return not any(self.left_on(machine) for machine in self.machines)

    def left_on(self, machine: Machine) -> list[str]:
        """What is left on a machine."""
        past: dict[ExecutionId, int] = {}
        for line in machine.journal:
            match type(line).__name__:
                case "Intended":
                    past[line.assignment.execution_id] = 1  # type: ignore[union-attr]
                case "Forgotten":
                    past.pop(line.execution_id, None)  # type: ignore[union-attr]
                case _:
                    continue
        running = [program.launch.execution_id for program in machine.running()]
        if machine.is_gone:
            return [*running]
        return [*past, *running, *sorted(machine.directories), *machine.programs]

    def left(self) -> dict[str, Any]:
        """What is not over, for people."""
        reactor = self.orchestrator.reactor
        if reactor is None or reactor._cluster is None:
            return {"orchestrator": "is down"}
        jobs = {
            entry.id[-4:]: (
                entry.record.job.state,
                [PartitionState(s).name for s in entry.states],
                entry.live,
                entry.due,
            )
            for entry in reactor.cluster.jobs.values()
            if not entry.is_settled
        }
        machines = {f"{machine.name}/{number}": self.left_on(machine) for number, machine in enumerate(self.machines)}
        alive = {machine.name: machine.is_alive for machine in self.machines}
        nodes = {
            node.id: (node.record.connection, node.free(), node.reserved_for) for node in reactor.cluster.nodes.values()
        }
        return {
            "jobs": jobs,
            "machines": machines,
            "alive": alive,
            "nodes": nodes,
            "live": list(reactor.cluster.executions),
        }


def encode(reply: Reply) -> bytes:
    """How an answer is kept under its token."""
    return msgspec.json.encode(reply)
