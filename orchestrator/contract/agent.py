"""The one exchange between a node and the orchestrator: what the node sees, and what should run there.

Both sides send whole truths in ids. Not naming an execution is a statement: in an answer it means "stop it, or forget it";
in a request "I do not have it". Only durations cross the wire, never times of day.
"""

import enum

from msgspec import field

from orchestrator.contract.execution import Cause, ExecutionState, RunOutput
from orchestrator.contract.ids import ExecutionId, JobId
from orchestrator.contract.job import Job, ResourcesConfig, SpecConfig
from orchestrator.contract.node import NodeInfo, Resources
from orchestrator.contract.spec import Spec


class Stream(enum.StrEnum):
    """Which of a program's two output streams."""

    OUT = "out"
    ERR = "err"


class LogMark(Spec, frozen=True, kw_only=True, array_like=True):
    """All bytes of a stream below `offset` had been seen when `age` was measured."""

    offset: int
    at: float
    """Seconds since the start of the execution's engine. The time of a line is that of the first mark at or above its end."""


class LogTail(Spec, frozen=True, kw_only=True):
    """The last piece of one stream's log, sent with the report of the end: at most 16 KiB."""

    stream: Stream
    offset: int
    """Where in the stream `content` begins; everything before it was acknowledged or cut off."""
    content: bytes
    marks: tuple[LogMark, ...] = ()


class InputObject(Spec, frozen=True, kw_only=True, array_like=True):
    """One file that an execution had as input."""

    name: str
    """Path as the program saw it."""
    size: int
    """Bytes."""


class Inputs(Spec, frozen=True, kw_only=True):
    """What an execution had as inputs."""

    objects: tuple[InputObject, ...] = ()
    """At most 100, in the order of their names."""
    rest: int = 0
    """How many more there were."""
    rest_size: int = 0
    """Bytes of those."""
    is_more: bool = field(default=False, name="More")
    """Whether there are files beyond those, which nobody counted."""


class End(Spec, frozen=True, kw_only=True):
    """How an execution ended."""

    exit_code: int | None = None
    """None = not known."""
    cause: Cause | None = None
    """None = it succeeded."""
    message: str = ""
    """The task's own last line of stderr, or what we have to say."""
    run_output: RunOutput | None = None
    published_result: SpecConfig | None = None
    run_seconds: float | None = None
    """How long the engine ran; None = it was never started."""
    ended_ago: float = 0.0
    """Seconds before this sync was sent."""
    tails: tuple[LogTail, ...] = ()
    log_truncated: bool = False
    """Whether a part of the log is gone: cut off at the limit, or not stored in time."""
    inputs: Inputs | None = None
    """None = it had none, or did not come so far."""


class Report(Spec, frozen=True, kw_only=True):
    """A node's line about an execution that it has."""

    execution_id: ExecutionId
    state: ExecutionState
    """ASSIGNED = in the backlog or preparing, RUNNING, PUBLISHING, or COMPLETED, FAILED, CANCELLED with `end`."""
    is_backlog: bool = field(default=False, name="Backlog")
    """Not started: holds no capacity."""
    need: Resources | None = None
    """What it holds while it is started and neither publishing nor ended."""
    running_ago: float | None = None
    """Seconds since its engine started, once it did."""
    end: End | None = None


class SyncRequest(Spec, frozen=True, kw_only=True):
    """Everything a node sees. Observed only if (session, seq) is above the last one observed."""

    cluster_id: str = ""
    """The cluster in the node's journal; empty = it never had one."""
    session: str
    """New at each start of an agent."""
    previous: str = ""
    """With the first sync of a session: the journalled session before it, or empty."""
    seq: int
    commit: int = 0
    """The highest commit number that the node has seen."""
    info: NodeInfo | None = None
    """In the first sync of a session, and whenever it changed."""
    held: tuple[tuple[JobId, int], ...] = ()
    """(job, version) whose spec the node has."""
    reports: tuple[Report, ...] = ()
    wait: float = 0.0
    """Seconds that the answer may be held when there is nothing new."""


class Assignment(Spec, frozen=True, kw_only=True):
    """An execution that should be there, or that has ended and is still named until its end is committed."""

    execution_id: ExecutionId
    job_id: JobId
    job_version: int
    index: int
    count: int = 0
    """Partitions of the job, where that is not the job's own Count."""
    attempt: int
    resources: ResourcesConfig | None = None
    """What it needs, where that is not what the job says."""
    execution_timeout: int | None = None
    """Seconds, where that is not what the job says."""
    is_followed: bool = field(default=False, name="Follow")
    """Somebody reads its log now: ship it as it is written."""


class SyncResponse(Spec, frozen=True, kw_only=True):
    """Everything that should run on a node, for as long as its lease holds."""

    cluster_id: str
    seq: int
    """Of the request that this answers."""
    commit: int
    """Number of the last commit."""
    lease_seconds: float
    """Counted by the node from when it *sent* the request."""
    fence_seconds: float
    assignments: tuple[Assignment, ...] = ()
    jobs: tuple[Job, ...] = ()
    """Specs of assignments that the node does not hold."""
