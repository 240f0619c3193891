"""A cluster without processes: the real core, nodes that obey the protocol, and a clock that the test moves.

What is committed is kept, so that a test can hold the core to what it promised earlier.
"""

import itertools

from msgspec.structs import replace

from orchestrator.contract.agent import Assignment, End, Report, SyncRequest
from orchestrator.contract.decode import resources
from orchestrator.contract.execution import Cause, DesiredState, ExecutionState
from orchestrator.contract.ids import ExecutionId, JobId, NodeId, Timestamp, after
from orchestrator.contract.job import (
    Constraint,
    Job,
    JobState,
    JobStateType,
    JobType,
    NetworkConfig,
    ResourcesConfig,
    Retry,
    SpecConfig,
    Task,
    TimeoutConfig,
)
from orchestrator.contract.node import BuildVersion, ComputeNodeInfo, NodeInfo, Resources
from orchestrator.core.cluster import Cluster, JobEntry, NodeEntry, need_of
from orchestrator.core.commands import Decision, Reply, Submit, Submitted, Sync, Tick
from orchestrator.core.decide import conclude, decide
from orchestrator.core.draft import Draft
from orchestrator.core.model import Changes, ExecutionRecord, Happening, JobRecord, PartitionRecord
from orchestrator.core.placement import refusal

START = Timestamp(1_800_000_000_000_000_000)
BUILD = BuildVersion(git_version="v0", git_commit="0", build_date="", goos="linux", goarch="amd64")


def a_job(
    name: str = "",
    *,
    count: int = 3,
    cpu: str = "1",
    memory: str = "1mb",
    disk: str = "",
    gpu: str = "",
    engine: str = "process",
    priority: int = 0,
    retry: Retry | None = None,
    timeouts: TimeoutConfig | None = None,
    constraints: tuple[Constraint, ...] = (),
) -> Job:
    """A decoded job, as a submission brings it."""
    task = Task(
        name="main",
        engine=SpecConfig(type=engine, params={"Command": "true"}),
        publisher=SpecConfig(type=""),
        resources=ResourcesConfig(cpu=cpu, memory=memory, disk=disk, gpu=gpu),
        network=NetworkConfig(type="Default"),
        timeouts=timeouts or TimeoutConfig(),
    )
    return Job(
        id=JobId(""),
        name=name,
        namespace="default",
        type=JobType.BATCH,
        priority=priority,
        count=count,
        constraints=constraints,
        meta={},
        labels={},
        tasks=(task,),
        retry=retry,
        state=JobState(state_type=JobStateType.PENDING),
        version=0,
        revision=0,
        create_time=Timestamp(0),
        modify_time=Timestamp(0),
    )


def a_node_info(
    name: str,
    *,
    cpu: float = 2,
    memory: int = 10**9,
    disk: int = 10**12,
    gpu: int = 0,
    engines: tuple[str, ...] = ("process",),
    **labels: str,
) -> NodeInfo:
    """What a node says of itself."""
    capacity = Resources(cpu=cpu, memory=memory, disk=disk, gpu=gpu)
    return NodeInfo(
        node_id=NodeId(name),
        node_type="Compute",
        labels={"name": name} | labels,
        supported_protocols=(),
        compute_node_info=ComputeNodeInfo(
            execution_engines=engines,
            publishers=("orchestrator",),
            storage_sources=("local", "inline"),
            max_capacity=capacity,
            queue_capacity=Resources(),
            available_capacity=capacity,
            max_job_requirements=capacity,
            running_executions=0,
            enqueued_executions=0,
            address="",
        ),
        bacalhau_version=BUILD,
    )


class World:
    """A cluster, its clock, and everything that was ever committed."""

    def __init__(self, *, lease: float = 30, fence: float = 600) -> None:
        self.cluster = Cluster("c-test", NodeId("orch"), lease=lease, fence=fence)
        self.now = START
        self.jobs: dict[tuple[JobId, int], JobRecord] = {}
        self.partitions: dict[tuple[JobId, int, int], PartitionRecord] = {}
        self.executions: dict[ExecutionId, ExecutionRecord] = {}
        self.happenings: list[Happening] = []
        self.last = Changes()
        """What the last commit wrote."""
        self.commits = 0
        self._numbers = itertools.count(1)

    def new_id(self) -> str:
        """An id that looks like a UUID and sorts by age."""
        return f"00000000-0000-4000-8000-{next(self._numbers):012d}"

    def do(self, *commands: Decision) -> list[Reply]:
        """Carry out commands in one batch, with whatever is due, and all batches that have to follow at once.

        Raises what a command raises, after the batch.
        """
        replies: list[Reply] = []
        errors: list[Exception] = []
        draft = Draft(self.cluster, self.now, self.new_id)
        for command in commands:
            mark = draft.mark()
            try:
                replies.append(decide(draft, command))
            except Exception as error:  # noqa: BLE001 the test sees it below
                draft.rollback(mark)
                errors.append(error)
        self._finish(draft)
        while draft.is_unfinished:
            draft = Draft(self.cluster, self.now, self.new_id)
            draft.is_continuation = True
            self._finish(draft)
        self.check_no_room_is_wasted()
        if errors:
            raise errors[0]
        return replies

    def _finish(self, draft: Draft) -> None:
        due = self.cluster.deadlines.take(draft.now, 10_000)
        if due:
            decide(draft, Tick(due=tuple(due)))
        conclude(draft)
        changes = draft.changes()
        if changes:
            self.commits += 1
            self.last = changes
        for execution in changes.executions:
            old = self.executions.get(execution.id)
            assert old is None or not old.state.is_terminal, "a terminal record never changes"
            self.executions[execution.id] = execution
        for row in changes.partitions:
            self.partitions[row.job_id, row.job_version, row.index] = row
        for record in changes.jobs:
            self.jobs[record.job.id, record.job.version] = record
        self.happenings += changes.happenings
        draft.put()
        self.cluster.check()

    def check_no_room_is_wasted(self) -> None:
        """Assert that nothing waits which a node would take now: nobody would ever look at it again."""
        for entry in map(self.cluster.jobs.__getitem__, self.cluster.hungry):
            for index in [] if entry.record.is_suspended else entry.waiting():
                takers = [node.id for node in self.cluster.nodes.values() if self.would_take(entry, index, node)]
                assert not takers, f"{index} of {entry.id} waits although {takers} would take it"

    def would_take(self, entry: JobEntry, index: int, node: NodeEntry) -> bool:
        """Whether a node has room for a waiting partition."""
        override, targets = entry.overrides.get(index), entry.record.targets
        if (targets and targets[index] != node.id) or (override and node.id in override.avoid):
            return False
        need = need_of(entry.record.job, override) if override else None
        return node.is_usable and refusal(entry, node, node.free(), need) is None

    def pass_time(self, seconds: float) -> None:
        """Move the clock, looking at everything that falls due on the way when it does."""
        end = after(self.now, seconds)
        while True:
            due = self.cluster.deadlines.next()
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self.do()
        self.now = end

    def submit(self, job: Job, *, is_forced: bool = False) -> JobId:
        """Submit a job; returns its id."""
        (reply,) = self.do(Submit(job=job, is_forced=is_forced))
        assert isinstance(reply, Submitted)
        return reply.job_id

    def state(self, job_id: JobId) -> JobStateType:
        """Where a job stands."""
        return self.cluster.jobs[job_id].record.job.state.state_type

    def words(self, job_id: JobId) -> str:
        """The states of a job's partitions, one digit each."""
        return "".join(str(state) for state in self.cluster.jobs[job_id].states)

    def attempts(self, job_id: JobId, index: int) -> list[ExecutionRecord]:
        """All executions of a partition, oldest first."""
        found = [e for e in self.executions.values() if (e.job_id, e.index) == (job_id, index)]
        return sorted(found, key=lambda e: (e.job_version, e.attempt))


class SimNode:
    """An agent that keeps the protocol. Its programs end when the test says so."""

    def __init__(self, world: World, name: str, *, info: NodeInfo | None = None, cpu: float = 2) -> None:
        self.world = world
        self.id = NodeId(name)
        self.info = info or a_node_info(name, cpu=cpu)
        self.session = world.new_id()
        self.previous = ""
        self.seq = 0
        self.has_joined = False
        self.reports: dict[ExecutionId, Report] = {}
        """What it has, in the order of assignment."""
        self.named_as_ended: set[ExecutionId] = set()
        self.gone: set[ExecutionId] = set()
        """Ids that it had once: none is started twice."""
        self.started: list[ExecutionId] = []

    @property
    def capacity(self) -> Resources:
        """What it offers."""
        return self.info.compute_node_info.max_capacity

    def request(self) -> SyncRequest:
        """Its next sync."""
        self.seq += 1
        self.named_as_ended = {e for e, report in self.reports.items() if report.end}
        return SyncRequest(
            session=self.session,
            previous=self.previous,
            seq=self.seq,
            info=None if self.has_joined else self.info,
            reports=tuple(self.reports.values()),
        )

    def sync(self) -> None:
        """One exchange: speak, and make true what is answered."""
        self.world.do(Sync(node_id=self.id, request=self.request()))
        self.answer(self.wanted())

    def wanted(self) -> list[Assignment]:
        """What the orchestrator would answer now."""
        cluster = self.world.cluster
        return [
            Assignment(
                execution_id=execution.id,
                job_id=execution.job_id,
                job_version=execution.job_version,
                index=execution.index,
                attempt=execution.attempt,
            )
            for execution in map(cluster.executions.__getitem__, cluster.nodes[self.id].live)
            if execution.desired is not DesiredState.STOPPED
        ]

    def answer(self, wanted: list[Assignment]) -> None:
        """Converge: stop or forget what is not named, take in what is new, start what fits."""
        self.has_joined = True
        named = {assignment.execution_id for assignment in wanted}
        for execution_id, report in list(self.reports.items()):
            if execution_id not in named and report.end is None:
                self.end(execution_id, End(cause=Cause.CANCELLED, exit_code=137), ExecutionState.CANCELLED)
            elif execution_id not in named and execution_id in self.named_as_ended:
                del self.reports[execution_id]
                self.gone.add(execution_id)
        for assignment in wanted:
            if assignment.execution_id not in self.reports and assignment.execution_id not in self.gone:
                self.reports[assignment.execution_id] = Report(
                    execution_id=assignment.execution_id, state=ExecutionState.ASSIGNED, is_backlog=True
                )
        self.start()

    def start(self) -> None:
        """Start what waits, in order, as far as there is room."""
        free = self.free()
        for execution_id, report in self.reports.items():
            if not report.is_backlog:
                continue
            need = self.need(execution_id)
            if free.holds(need):
                free = free.minus(need)
                self.started.append(execution_id)
                self.reports[execution_id] = Report(
                    execution_id=execution_id, state=ExecutionState.RUNNING, need=need, running_ago=0.0
                )
        assert self.capacity.holds(self.used())

    def need(self, execution_id: ExecutionId) -> Resources:
        """What an execution needs."""
        execution = self.world.executions[execution_id]
        job = self.world.jobs[execution.job_id, execution.job_version].job
        return resources(job.task.resources)

    def used(self) -> Resources:
        """What is in use."""
        used = Resources()
        for report in self.reports.values():
            used = used.plus(report.need or Resources())
        return used

    def free(self) -> Resources:
        """What is left."""
        return self.capacity.minus(self.used())

    def running(self) -> list[ExecutionId]:
        """What runs, oldest first."""
        return [e for e, report in self.reports.items() if report.state is ExecutionState.RUNNING]

    def end(self, execution_id: ExecutionId, end: End, state: ExecutionState) -> None:
        """Let a program end; its room is free."""
        self.reports[execution_id] = Report(execution_id=execution_id, state=state, end=end)
        self.start()

    def succeed(self, execution_id: ExecutionId, seconds: float = 1.0) -> None:
        """Let a program end well."""
        self.end(execution_id, End(exit_code=0, run_seconds=seconds), ExecutionState.COMPLETED)

    def fail(self, execution_id: ExecutionId, cause: Cause = Cause.EXIT, code: int | None = 7) -> None:
        """Let a program fail."""
        end = End(exit_code=code, cause=cause, message="boom", run_seconds=1.0)
        self.end(execution_id, end, ExecutionState.FAILED)

    def restart(self, *, keeps: bool) -> None:
        """The agent is killed and started again; with `keeps` it adopts what runs, else it has lost it."""
        self.previous, self.session = self.session, self.world.new_id()
        self.seq = 0
        self.has_joined = False
        if not keeps:
            self.gone |= self.reports.keys()
            self.reports = {}

    def finish_all(self) -> None:
        """Work until nothing is left to do."""
        for _ in range(10_000):
            self.sync()
            if not self.reports:
                return
            for execution_id in self.running():
                self.succeed(execution_id)


def moved(node: NodeInfo, **labels: str) -> NodeInfo:
    """The same node with other labels."""
    return replace(node, labels=node.labels | labels)
