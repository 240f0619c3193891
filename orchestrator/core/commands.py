"""What can be asked of a cluster, and what is answered. `decide` carries each out."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from orchestrator.contract.agent import SyncRequest
from orchestrator.contract.ids import JobId, NodeId
from orchestrator.contract.job import Job
from orchestrator.core.deadlines import Deadline
from orchestrator.core.model import Override

NewId: TypeAlias = Callable[[], str]
"""Gives a new UUID at every call."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all commands."""


class Submit(Command, frozen=True, kw_only=True):
    """Take in a job, or a new version of one that is known by its name. Answer: `Submitted`.

    Raises NoChangesError for a known job that would not change, unless `is_forced`.
    """

    job: Job
    """Decoded and checked; `id` and `name` may be empty."""
    is_forced: bool = False


class Stop(Command, frozen=True, kw_only=True):
    """Stop a job. Answer: `Evaluated`, empty when it was stopped already.

    Raises JobStateConflictError for a job that has completed or failed.
    """

    job_id: JobId
    reason: str


class Retry(Command, frozen=True, kw_only=True):
    """Give partitions a fresh budget and queue them again. Answer: `Acted`.

    Takes failed and stopped ones of `partitions`, and completed ones too if `include_completed`.
    """

    job_id: JobId
    partitions: tuple[range, ...]
    include_completed: bool = False
    override: Override | None = None
    """What shall be different for them; None = as the job says."""
    is_dry_run: bool = False


class StopPartitions(Command, frozen=True, kw_only=True):
    """Stop those of `partitions` that are unfinished. Answer: `Acted`."""

    job_id: JobId
    partitions: tuple[range, ...]
    reason: str = ""
    is_dry_run: bool = False


class Rerun(Command, frozen=True, kw_only=True):
    """Begin a new version of a job from the spec of one of its versions: all partitions again. Answer: `Submitted`.

    Raises CannotRerunError while the job, or the chosen version as it was left, is Pending or Queued.
    """

    job_id: JobId
    job: Job
    """The chosen version, with its state."""
    reason: str = ""


class Suspend(Command, frozen=True, kw_only=True):
    """Place nothing more of a job; what runs goes on. Answer: `Evaluated`, empty when it was suspended already.

    Raises JobEndedError.
    """

    job_id: JobId
    reason: str = ""


class Resume(Command, frozen=True, kw_only=True):
    """Place a suspended job again. Answer: `Evaluated`, empty when it was not suspended. Raises JobEndedError."""

    job_id: JobId


class Drain(Command, frozen=True, kw_only=True):
    """Place nothing more on a node; what has not begun there is taken back. Answer: `Acted`: what still runs there.

    Raises NodeNotFoundError.
    """

    node_id: NodeId
    reason: str = ""
    seconds: float | None = None
    """After which what still runs is stopped and moved, billed to nobody; None = it may finish."""


class Undrain(Command, frozen=True, kw_only=True):
    """Place on a node again. Answer: `Acted`. Raises NodeNotFoundError."""

    node_id: NodeId


class Approve(Command, frozen=True, kw_only=True):
    """Let a node take part. Answer: None. Raises NodeNotFoundError, NodeStateConflictError."""

    node_id: NodeId


class Reject(Command, frozen=True, kw_only=True):
    """Shut a node out; its executions are lost. Answer: None. Raises NodeNotFoundError, NodeStateConflictError."""

    node_id: NodeId


class DeleteNode(Command, frozen=True, kw_only=True):
    """Forget a node; its executions are lost. Answer: None. Raises NodeNotFoundError."""

    node_id: NodeId


class Sync(Command, frozen=True, kw_only=True):
    """A node's view. Answer: None; what should run there is read from the cluster.

    Raises SessionConflictError, WrongClusterError, NodeRefusedError, InvalidRequestError (first sync without info).
    """

    node_id: NodeId
    request: SyncRequest


class Tick(Command, frozen=True, kw_only=True):
    """Time has passed. Answer: None."""

    due: tuple[Deadline, ...]
    late_by: float = 0.0
    """Seconds that the process was not running when it should have: if many, leases begin anew before they are judged."""


Decision: TypeAlias = (
    Submit
    | Stop
    | Retry
    | StopPartitions
    | Rerun
    | Suspend
    | Resume
    | Drain
    | Undrain
    | Approve
    | Reject
    | DeleteNode
    | Sync
    | Tick
)


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """A job was taken in."""

    job_id: JobId
    version: int
    evaluation_id: str


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """A job will be looked at; empty = there was nothing to do."""

    evaluation_id: str
    count: int = 0
    """Of a stop: partitions that were unfinished."""


class Acted(msgspec.Struct, frozen=True, kw_only=True):
    """What an action on partitions took, or would take."""

    count: int
    by_state: dict[str, int]
    """By the state word they had."""
    evaluation_id: str = ""


Reply: TypeAlias = Submitted | Evaluated | Acted | None
