"""The cluster at a glance: where each job stands, what changes anywhere, and what happened. All ours."""

from msgspec import field

from orchestrator.contract.history import Level
from orchestrator.contract.ids import ExecutionId, JobId, NodeId, Timestamp
from orchestrator.contract.job import Job
from orchestrator.contract.node import NodeState
from orchestrator.contract.spec import Spec


class Progress(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """How far a job is."""

    attempts: int
    """Executions so far."""
    retries: int
    """Executions beyond the first of their partition."""
    retries_per_minute: float = 0.0
    """Over the last minute, as far as somebody was looking."""
    failed: int
    """Partitions that are out of attempts."""
    share: float
    """Partitions completed, 0 to 1; of a job without partitions 1."""


class ListedJob(Job, frozen=True, kw_only=True):
    """An item of `GET jobs?include=summary`."""

    summary: dict[str, int]
    """Partitions by state, as in `Grid`."""
    progress: Progress
    is_suspended: bool = field(default=False, name="Suspended")


class ListedJobs(Spec, frozen=True, kw_only=True):
    """A page of jobs with how far they are."""

    next_token: str
    items: tuple[ListedJob, ...]


class JobSummary(Spec, frozen=True, kw_only=True):
    """One job in the cluster's watch: everything that a list shows, without the task."""

    job_id: JobId
    job_version: int
    name: str
    namespace: str
    type: str
    engine: str
    priority: int
    count: int
    labels: dict[str, str]
    owner: str
    """The installation that submitted it; empty = not told."""
    state: str
    message: str
    summary: dict[str, int]
    progress: Progress
    is_suspended: bool = field(default=False, name="Suspended")
    create_time: Timestamp
    modify_time: Timestamp


class ClusterFrame(Spec, frozen=True, kw_only=True):
    """A line of the cluster's watch: what changed since the line before. A heartbeat has only `cursor`."""

    cursor: str
    """What `after` takes to go on. Empty as long as a snapshot is not whole: then only a new one helps."""
    is_snapshot: bool = field(default=False, name="Snapshot")
    """Whether this begins a snapshot: the jobs that have not ended, the 500 newest others. Those that take long to count
    come with the next lines."""
    jobs: tuple[JobSummary, ...] = ()
    nodes: tuple[NodeState, ...] = ()
    """Those that changed; with the first line all of them."""
    gone_nodes: tuple[NodeId, ...] = ()
    """Nodes that were deleted."""
    heard: dict[NodeId, str] = field(default_factory=dict)
    """When nodes were heard of last: `LastHeartbeat`, which alone makes no line of `nodes`."""


class ClusterEvent(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """One thing that happened, to a job, an execution or a node."""

    time: str
    """RFC 3339."""
    type: Level
    topic: str
    message: str
    job_id: JobId = JobId("")
    job_name: str = ""
    """Empty where the job is not in memory any more."""
    job_version: int = 0
    execution_id: ExecutionId = ExecutionId("")
    partition: int | None = None
    node_id: NodeId = NodeId("")
    details: dict[str, str] = field(default_factory=dict)


class ClusterEvents(Spec, frozen=True, kw_only=True):
    """A page of what happened in the cluster, oldest first."""

    cursor: str
    """What `after` takes to go on."""
    items: tuple[ClusterEvent, ...]


class JobChanged(Spec, frozen=True, kw_only=True):
    """Answer to a suspension or resumption. Empty = it was so already."""

    evaluation_id: str


class NodeChanged(Spec, frozen=True, kw_only=True):
    """Answer to an action on a node. `running` and `by_state` of what is there only with drain and undrain."""

    success: bool
    running: int = 0
    by_state: dict[str, int] = field(default_factory=dict)


class Me(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """Answer to `auth/me`: who asks, as the orchestrator sees it. Ours."""

    name: str
    """Empty where no tokens are wanted."""
    roles: tuple[str, ...]
    """`viewer`, `operator` or `admin`."""
    namespaces: tuple[str, ...]
    """Those whose jobs may be seen; `*` = all."""
    time: str
    version: str
