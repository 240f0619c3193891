"""Random histories of a cluster: what always holds, and that everything ends when faults cease."""

import contextlib
from collections.abc import Iterator

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from orchestrator.contract.agent import End, Report, SyncRequest
from orchestrator.contract.execution import Cause, ExecutionState
from orchestrator.contract.ids import ExecutionId, JobId
from orchestrator.contract.job import ENDLESS, PINNED, Backoff, JobStateType, JobType, Retry, TimeoutConfig
from orchestrator.contract.node import Membership
from orchestrator.contract.partitions import PartitionState
from orchestrator.core.commands import (
    Approve,
    Decision,
    DeleteNode,
    Drain,
    Reject,
    Rerun,
    Resume,
    Stop,
    StopPartitions,
    Submit,
    Suspend,
    Sync,
    Undrain,
)
from orchestrator.core.commands import Retry as RetryPartitions
from orchestrator.errors import (
    CannotRerunError,
    CannotStopError,
    JobEndedError,
    NoChangesError,
    NodeNotFoundError,
    NodeRefusedError,
    NodeStateConflictError,
    SessionConflictError,
    TypeChangedError,
)
from tests.helpers.harness import SimNode, World, a_job

SEEDS = st.integers(0, 10**6)
CAUSES = [cause for cause in Cause if cause not in (Cause.WITHDRAWN, Cause.SUPERSEDED)]


class ClusterHistory(RuleBasedStateMachine):
    """Submissions, stops, retries, nodes that speak, fall silent, forget, repeat themselves, and time."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(lease=30, fence=120)
        self.nodes: list[SimNode] = []
        self.old_requests: list[tuple[SimNode, SyncRequest]] = []
        self.job_ids: list[JobId] = []
        self.accepted: dict[tuple[JobId, int, int], ExecutionId] = {}
        self.was_deleted = False

    @initialize(cpus=st.lists(st.integers(1, 4), min_size=1, max_size=4))
    def join(self, cpus: list[int]) -> None:
        for number, cpu in enumerate(cpus):
            node = SimNode(self.world, f"n{number}", cpu=cpu)
            self.nodes.append(node)
            node.sync()

    def pick(self, seed: int) -> SimNode:
        return self.nodes[seed % len(self.nodes)]

    @rule(
        name=st.sampled_from(["", "a", "b"]),
        count=st.integers(0, 6),
        cpu=st.sampled_from(["0.5", "1", "2", "4"]),
        attempts=st.integers(1, 3),
        lost=st.integers(0, 2),
        priority=st.integers(0, 2),
        total=st.sampled_from([0, 0, 0, 50]),
        queue=st.sampled_from([0, 0, 20]),
        kind=st.sampled_from([JobType.BATCH, JobType.BATCH, *JobType]),
        is_forced=st.booleans(),
    )
    def submit(
        self,
        name: str,
        count: int,
        cpu: str,
        attempts: int,
        lost: int,
        priority: int,
        total: int,
        queue: int,
        kind: JobType,
        *,
        is_forced: bool,
    ) -> None:
        retry = Retry(max_attempts=attempts, max_lost=lost, backoff=Backoff(initial=5, max=40))
        timeouts = TimeoutConfig(total_timeout=total, queue_timeout=queue)
        job = a_job(name, count=count, cpu=cpu, retry=retry, priority=priority, timeouts=timeouts)
        job = replace(job, type=kind, count=0 if kind in PINNED else count)
        try:
            job_id = self.world.submit(job, is_forced=is_forced)
        except (NoChangesError, TypeChangedError):
            return
        if job_id not in self.job_ids:
            self.job_ids.append(job_id)

    @rule(seed=SEEDS, what=st.sampled_from(["drain", "drain soon", "undrain", "reject", "approve", "delete"]))
    def change_node(self, seed: int, what: str) -> None:
        node_id = self.pick(seed).id
        command: Decision
        match what:
            case "drain":
                command = Drain(node_id=node_id)
            case "drain soon":
                command = Drain(node_id=node_id, seconds=5)
            case "undrain":
                command = Undrain(node_id=node_id)
            case "reject":
                command = Reject(node_id=node_id)
            case "approve":
                command = Approve(node_id=node_id)
            case _:
                command = DeleteNode(node_id=node_id)
                self.was_deleted = True
        with contextlib.suppress(NodeNotFoundError, NodeStateConflictError):
            self.world.do(command)

    @precondition(lambda self: self.job_ids)
    @rule(seed=SEEDS, is_suspended=st.booleans())
    def suspend(self, seed: int, *, is_suspended: bool) -> None:
        job_id = self.job_ids[seed % len(self.job_ids)]
        with contextlib.suppress(JobEndedError):
            self.world.do(Suspend(job_id=job_id) if is_suspended else Resume(job_id=job_id))

    @precondition(lambda self: self.job_ids)
    @rule(seed=SEEDS)
    def rerun(self, seed: int) -> None:
        job_id = self.job_ids[seed % len(self.job_ids)]
        with contextlib.suppress(CannotRerunError):
            self.world.do(Rerun(job_id=job_id, job=self.world.cluster.jobs[job_id].record.job))

    @precondition(lambda self: self.job_ids)
    @rule(seed=SEEDS)
    def stop(self, seed: int) -> None:
        job_id = self.job_ids[seed % len(self.job_ids)]
        try:
            self.world.do(Stop(job_id=job_id, reason="enough"))
        except CannotStopError:
            assert self.world.state(job_id) in (JobStateType.COMPLETED, JobStateType.FAILED)

    @precondition(lambda self: self.job_ids)
    @rule(seed=SEEDS, first=st.integers(0, 5), last=st.integers(0, 9), completed=st.booleans(), dry=st.booleans())
    def retry(self, seed: int, first: int, last: int, *, completed: bool, dry: bool) -> None:
        job_id = self.job_ids[seed % len(self.job_ids)]
        version = self.world.cluster.jobs[job_id].record.job.version
        before = self.world.words(job_id)
        ranges = (range(first, last + 1),)
        self.world.do(RetryPartitions(job_id=job_id, partitions=ranges, include_completed=completed, is_dry_run=dry))
        if dry:
            assert self.world.words(job_id) == before
        elif completed:
            for index, state in enumerate(before):
                if index in ranges[0] and int(state) == PartitionState.COMPLETED:
                    self.accepted.pop((job_id, version, index), None)

    @precondition(lambda self: self.job_ids)
    @rule(seed=SEEDS, first=st.integers(0, 5), last=st.integers(0, 9))
    def stop_partitions(self, seed: int, first: int, last: int) -> None:
        job_id = self.job_ids[seed % len(self.job_ids)]
        self.world.do(StopPartitions(job_id=job_id, partitions=(range(first, last + 1),)))

    @precondition(lambda self: self.job_ids)
    @rule(seed=SEEDS)
    def think_better_of_it(self, seed: int) -> None:
        """Stop a job and want it again before its nodes have heard of either."""
        job_id = self.job_ids[seed % len(self.job_ids)]
        if not self.world.state(job_id).is_terminal:
            self.world.do(Stop(job_id=job_id, reason="oops"))
            self.world.do(RetryPartitions(job_id=job_id, partitions=(range(9),)))

    @rule()
    def everybody_speaks(self) -> None:
        for _ in range(2):
            for node in self.nodes:
                self.speak(node)

    @rule(seed=SEEDS)
    def sync(self, seed: int) -> None:
        self.speak(self.pick(seed))

    def speak(self, node: SimNode) -> None:
        with self.refused(node):
            node.sync()

    @contextlib.contextmanager
    def refused(self, node: SimNode) -> Iterator[None]:
        """An agent that is refused stops its work; somebody starts it again. A session is never refused to who has it."""
        try:
            yield
        except SessionConflictError:
            assert not node.has_joined or self.was_deleted
        except NodeRefusedError:
            node.restart(keeps=False)

    @rule(seed=SEEDS)
    def sync_without_answer(self, seed: int) -> None:
        node = self.pick(seed)
        request = node.request()
        self.old_requests.append((node, request))
        with self.refused(node):
            self.world.do(Sync(node_id=node.id, request=request))

    @rule(seed=SEEDS)
    def sync_without_delivery(self, seed: int) -> None:
        node = self.pick(seed)
        self.old_requests.append((node, node.request()))

    @precondition(lambda self: self.old_requests)
    @rule(seed=SEEDS)
    def late_sync(self, seed: int) -> None:
        node, request = self.old_requests[seed % len(self.old_requests)]
        known = self.world.cluster.nodes.get(node.id)
        if known and (request.session == node.session or request.info is None):
            before = known.record.session
            try:
                self.world.do(Sync(node_id=node.id, request=request))
            except SessionConflictError:
                assert self.world.cluster.nodes[node.id].record.session == before
            except NodeRefusedError:
                assert known.record.membership is Membership.REJECTED

    @rule(seed=SEEDS, which=SEEDS, outcome=st.sampled_from([None, *CAUSES]))
    def end(self, seed: int, which: int, outcome: Cause | None) -> None:
        node = self.pick(seed)
        running = node.running()
        if not running:
            return
        execution_id = running[which % len(running)]
        if outcome is None:
            node.succeed(execution_id, seconds=0.01)
        else:
            node.fail(execution_id, outcome)

    @rule(seed=SEEDS, keeps=st.booleans())
    def restart_node(self, seed: int, *, keeps: bool) -> None:
        self.pick(seed).restart(keeps=keeps)

    @rule(seed=SEEDS, other=SEEDS, state=st.sampled_from(list(ExecutionState)))
    def nonsense(self, seed: int, other: int, state: ExecutionState) -> None:
        """A node speaks of executions that are not its own, or that never were; nothing of the others changes."""
        node = self.pick(seed)
        foreign = [e for e, record in self.world.executions.items() if record.node_id != node.id]
        execution_id = foreign[other % len(foreign)] if foreign else ExecutionId("e-none")
        request = node.request()
        end = End(exit_code=0) if state.is_terminal else None
        report = Report(execution_id=execution_id, state=state, end=end)
        before = {e: self.world.cluster.executions.get(e) for e in foreign}
        strange = SyncRequest(
            session=request.session,
            previous=request.previous,
            seq=request.seq,
            info=request.info,
            reports=(*request.reports, report),
        )
        due = self.world.cluster.deadlines.next()
        try:
            self.world.do(Sync(node_id=node.id, request=strange))
        except (SessionConflictError, NodeRefusedError):
            return
        if due is None or due > self.world.now:
            after = self.world.cluster.executions
            changed = [e for e, record in before.items() if record and after.get(e) is None]
            assert not changed

    @rule(seconds=st.sampled_from([0.5, 5, 31, 200]))
    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(commands=st.lists(st.sampled_from(["x", "y"]), min_size=2, max_size=4))
    def many_at_once(self, commands: list[str]) -> None:
        batch: list[Decision] = [Submit(job=a_job(name, count=2), is_forced=True) for name in commands]
        for reply in self.world.do(*batch):
            job_id = getattr(reply, "job_id", None)
            if job_id and job_id not in self.job_ids:
                self.job_ids.append(job_id)

    @invariant()
    def asking_again_changes_nothing(self) -> None:
        commits = self.world.commits
        due = self.world.cluster.deadlines.next()
        if due is None or due > self.world.now:
            self.world.do()
            assert self.world.commits == commits

    @invariant()
    def one_accepted_success_a_partition(self) -> None:
        for (job_id, version, index), row in self.world.partitions.items():
            if row.state is PartitionState.COMPLETED:
                first = self.accepted.setdefault((job_id, version, index), row.accepted)
                assert row.accepted == first
                assert self.world.executions[first].state is ExecutionState.COMPLETED

    @invariant()
    def no_node_is_asked_for_more_than_it_has(self) -> None:
        for node in self.nodes:
            assert node.capacity.holds(node.used())
            assert len(node.started) == len(set(node.started)), "an execution was started twice"

    def teardown(self) -> None:
        """Left alone with healthy nodes that may work, every job ends, if it ends by itself at all."""
        if not self.nodes:
            return
        self.world.pass_time(31)
        for node in self.nodes:
            with contextlib.suppress(NodeNotFoundError, NodeStateConflictError):
                self.world.do(Approve(node_id=node.id))
            node.restart(keeps=True)
            self.speak(node)
            self.world.do(Undrain(node_id=node.id))
        for entry in list(self.world.cluster.jobs.values()):
            with contextlib.suppress(JobEndedError):
                self.world.do(Resume(job_id=entry.id))
            if entry.record.job.type in ENDLESS:
                with contextlib.suppress(CannotStopError):
                    self.world.do(Stop(job_id=entry.id, reason="the end"))
        for _ in range(400):
            for node in self.nodes:
                self.speak(node)
                for execution_id in node.running():
                    node.succeed(execution_id)
                self.speak(node)
            self.world.pass_time(10)
            if all(entry.is_settled for entry in self.world.cluster.jobs.values()):
                return
        open_jobs = {
            entry.id: (entry.record.job.state, self.world.words(entry.id), entry.live)
            for entry in self.world.cluster.jobs.values()
            if not entry.is_settled
        }
        assert not open_jobs


ClusterHistory.TestCase.settings = settings(
    max_examples=150, stateful_step_count=80, deadline=None, suppress_health_check=list(HealthCheck)
)
TestClusterHistory = ClusterHistory.TestCase
