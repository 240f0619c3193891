"""A job as it is on the wire, after normalisation: what is sent back, stored and given to nodes.

What users send is looser (any key case, nulls, units); `decode` turns that into these. Field by field: Bacalhau's job
model; `Retry` is ours.
"""

import enum
from typing import Annotated, Any

from msgspec import Meta, field

from orchestrator.contract.ids import JobId, Timestamp
from orchestrator.contract.spec import DURATION, Spec


class JobType(enum.StrEnum):
    """What the partitions of a job are for."""

    BATCH = "batch"
    SERVICE = "service"
    OPS = "ops"
    DAEMON = "daemon"


PINNED = frozenset({JobType.OPS, JobType.DAEMON})
"""Types with one partition for each matching node, that runs there and nowhere else."""
ENDLESS = frozenset({JobType.SERVICE, JobType.DAEMON})
"""Types whose partitions never complete: whatever ends is begun again."""


class JobStateType(enum.StrEnum):
    """Where a job stands."""

    UNDEFINED = "Undefined"
    PENDING = "Pending"
    QUEUED = "Queued"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended. Only a retry, an update or a rerun starts it again."""
        return self in (JobStateType.COMPLETED, JobStateType.FAILED, JobStateType.STOPPED)


class JobState(Spec, frozen=True, kw_only=True):
    """Where a job stands, and what people should be told about it."""

    state_type: JobStateType
    message: str = ""
    details: dict[str, str] = field(default_factory=dict)


class SpecConfig(Spec, frozen=True, kw_only=True):
    """A kind of engine, input source, publisher or result, with free-form parameters. `params` has typed views of them."""

    type: str
    params: dict[str, Any] = field(default_factory=dict)


class InputSource(Spec, frozen=True, kw_only=True):
    """Where input comes from, and the path at which the program sees it."""

    source: SpecConfig
    alias: str
    target: str


class ResultPath(Spec, frozen=True, kw_only=True):
    """A path whose content is kept: the program writes to `path`, the result holds it as `name`."""

    name: str
    path: str


class ResourcesConfig(Spec, frozen=True, kw_only=True):
    """What one execution needs, as text with units: `500m`, `512mb`, `1gib`. Empty = nothing asked."""

    cpu: str = ""
    memory: str = ""
    disk: str = ""
    gpu: str = ""

    def changed_by(self, other: "ResourcesConfig") -> "ResourcesConfig":
        """What `other` asks, and this where it asks nothing."""
        return ResourcesConfig(
            cpu=other.cpu or self.cpu,
            memory=other.memory or self.memory,
            disk=other.disk or self.disk,
            gpu=other.gpu or self.gpu,
        )


class Port(Spec, frozen=True, kw_only=True):
    """A port of a task that is reachable from outside."""

    name: str
    static: int = 0
    target: int = 0
    host_network: str = ""


class NetworkConfig(Spec, frozen=True, kw_only=True):
    """What network a task sees: `Default`, `None`, `Host`, `Full` (an old name of Host), `HTTP` or `Bridge`."""

    type: str
    domains: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()


class TimeoutConfig(Spec, frozen=True, kw_only=True):
    """Limits in whole seconds; 0 = none. Each counts from when *it* began."""

    execution_timeout: Annotated[int, DURATION] = 0
    """Of one execution, from the start of its engine."""
    queue_timeout: Annotated[int, DURATION] = 0
    """Of a job that is Queued."""
    total_timeout: Annotated[int, DURATION] = 0
    """Of a job, from its submission, update or retry."""


class Constraint(Spec, frozen=True, kw_only=True):
    """What the labels of a node must satisfy. Operators: `=`, `==`, `in`, `!=`, `notin`, `exists`, `!`, `gt`, `lt`."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class Backoff(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """How long a partition waits before its next attempt: min(max, initial * factor ** (n - 1)) seconds."""

    initial: Annotated[float, Meta(ge=0, le=86_400), DURATION] = 1.0
    """Seconds before the first retry."""
    factor: Annotated[float, Meta(ge=1, le=10)] = 2.0
    max: Annotated[float, Meta(ge=0, le=604_800), DURATION] = 300.0
    """Seconds; no wait is longer."""
    jitter: bool = True
    """Whether a wait is multiplied by 0.5..1, so that partitions that failed together do not return together."""


class Retry(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """When a failed partition is tried again."""

    max_attempts: Annotated[int, Meta(ge=1, le=100)] = 3
    """Failures billed to the task that a partition may have, the first one included. Lost nodes are not billed."""
    max_lost: Annotated[int, Meta(ge=0, le=1000)] = 10
    """Further executions that a partition may have because the node or our side broke."""
    backoff: Backoff = Backoff()


class Task(Spec, frozen=True, kw_only=True):
    """The one thing that every partition of a job runs."""

    name: str
    engine: SpecConfig
    publisher: SpecConfig
    """Type `""` = nothing is published."""
    env: dict[str, str] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)
    input_sources: tuple[InputSource, ...] = ()
    result_paths: tuple[ResultPath, ...] = ()
    resources: ResourcesConfig
    network: NetworkConfig
    timeouts: TimeoutConfig


class Job(Spec, frozen=True, kw_only=True):
    """What a user submitted, and where it stands."""

    id: JobId
    name: str
    namespace: str
    type: JobType
    priority: int
    """Higher goes first."""
    count: int
    """Number of partitions."""
    constraints: tuple[Constraint, ...]
    meta: dict[str, str]
    labels: dict[str, str]
    tasks: tuple[Task, ...]
    """Exactly one."""
    retry: Retry | None = None
    """None = the defaults of `Retry`."""
    state: JobState
    version: int
    """From 1; one more with every update and rerun."""
    revision: int
    """From 1; one more with every change of state."""
    create_time: Timestamp
    modify_time: Timestamp

    @property
    def task(self) -> Task:
        """The job's only task."""
        return self.tasks[0]

    @property
    def retry_policy(self) -> Retry:
        """The retry rules in force: the job's own, or the defaults."""
        return self.retry or Retry()
