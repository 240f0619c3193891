"""Partitions as clients see them: the packed grid, its deltas, rows, failure groups, reasons. All ours."""

import enum

from msgspec import field

from orchestrator.contract.execution import Cause
from orchestrator.contract.history import Stamp
from orchestrator.contract.ids import ExecutionId, JobId, NodeId
from orchestrator.contract.job import ResourcesConfig
from orchestrator.contract.spec import Spec


class PartitionState(enum.IntEnum):
    """Where a partition stands, one byte. `STOPPING` is added while a stopped execution has not been seen to end."""

    UNSELECTED = 0
    WAITING = 1
    RETRYING = 2
    """An attempt failed; the next waits for its backoff or for room."""
    ASSIGNED = 3
    RUNNING = 4
    PUBLISHING = 5
    COMPLETED = 6
    FAILED = 7
    """Out of attempts."""
    STOPPED = 8

    @property
    def word(self) -> str:
        """The word for it in the API, the CLI, selections and the UI."""
        return self.name.lower()

    @property
    def is_settled(self) -> bool:
        """Whether only an explicit retry changes it."""
        return self in SETTLED


STOPPING = 128
"""Added to a state byte while an execution that should stop has not been seen to end."""
SETTLED = frozenset(
    {PartitionState.UNSELECTED, PartitionState.COMPLETED, PartitionState.FAILED, PartitionState.STOPPED}
)
UNSETTLED_WORDS = frozenset(state.word for state in PartitionState if not state.is_settled) | {"stopping"}
"""What partitions that may change by themselves are called."""
LIVE_WORDS = frozenset({"assigned", "running", "publishing"})
"""States of an attempt that has not ended."""
NO_NODE = 65535
"""In the packed nodes of a grid: the partition has no node."""


NO_TIME = 2**32 - 1
"""In the packed times of a grid: not yet."""
NO_GROUP = 65535
"""In the packed failures of a grid: no attempt failed."""


def state_word(state: int) -> str:
    """The word of a state byte: `stopping` for every byte with that bit."""
    return "stopping" if state & STOPPING else PartitionState(state).word


class GroupName(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """A failure group that numbers in a grid or frame refer to."""

    group: str
    """What `group:ID` in a selection names."""
    cause: Cause
    exit_code: int | None
    message: str


class Grid(Spec, frozen=True, kw_only=True):
    """All partitions of a job, packed: `GET jobs/{id}/partitions`."""

    cursor: str
    job_id: JobId
    job_version: int
    count: int
    states: bytes
    """One byte a partition."""
    attempts: bytes
    """One byte a partition, saturating at 255."""
    nodes: bytes
    """uint16 little-endian a partition, into `node_ids`; 65535 = none."""
    node_ids: tuple[NodeId, ...] = field(name="NodeIDs")
    summary: dict[str, int]
    """Partitions by state, capitalised: `{"Waiting": 3, ...}`, zeros left out; `Stopping` counts apart."""
    job_state: str
    job_message: str = ""
    origin: str = ""
    """With `fields=`: the time that `started` and `finished` count from, RFC 3339."""
    started: bytes = b""
    finished: bytes = b""
    """With `fields=`: whole seconds of each partition's last execution, uint32 little-endian; 4294967295 = not yet."""
    failure: bytes = b""
    """With `fields=`: uint16 little-endian into `groups`, of the last failed execution; 65535 = none failed."""
    groups: tuple[GroupName, ...] = ()


class Frame(Spec, frozen=True, kw_only=True):
    """What changed since the frame before: a line of `watch`. A heartbeat has only `cursor`."""

    cursor: str
    indices: bytes = b""
    """uint32 little-endian each."""
    states: bytes = b""
    attempts: bytes = b""
    nodes: bytes = b""
    node_ids: tuple[NodeId, ...] = field(default=(), name="NodeIDs")
    """Those added since the frame before."""
    summary: dict[str, int] | None = None
    job_state: str = ""
    job_message: str = ""
    """Both with every frame that is no heartbeat."""
    job_version: int = 0
    started: bytes = b""
    finished: bytes = b""
    failure: bytes = b""
    """With `fields=`, as in `Grid`; numbers of groups count through the frames of one watch, from 0, not through a grid's."""
    groups: tuple[GroupName, ...] = ()
    """Those added since the frame before."""


class Row(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """One partition as text: `GET jobs/{id}/partitions?select=`. Times are RFC 3339, empty = not yet."""

    index: int
    state: str
    attempts: int
    node_id: str = ""
    execution_id: str = ""
    started: str = ""
    finished: str = ""
    exit_code: int | None = None
    cause: str = ""
    message: str = ""


class Rows(Spec, frozen=True, kw_only=True):
    """A page of rows."""

    next_token: str
    items: tuple[Row, ...]


class Override(Spec, frozen=True, kw_only=True):
    """What a retry asked to be different from the job."""

    resources: ResourcesConfig | None = None
    timeout: int | None = None
    """Seconds."""
    avoid_nodes: tuple[NodeId, ...] = ()
    max_attempts: int | None = None


class Attempt(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """One execution of a partition, oldest first in `PartitionDetail`."""

    attempt: int
    execution_id: ExecutionId
    node_id: NodeId
    state: str
    """`assigned`, `running`, `publishing`, `completed`, `failed`, `cancelled`, or `lost`."""
    created: str
    started: str = ""
    finished: str = ""
    exit_code: int | None = None
    cause: str = ""
    message: str = ""
    is_accepted: bool = field(default=False, name="Accepted")
    log_truncated: bool = False
    override: Override | None = None
    """None = it ran as the job says."""


class PartitionDetail(Spec, frozen=True, kw_only=True):
    """One partition with all its attempts: `GET jobs/{id}/partitions/{index}`."""

    job_id: JobId
    job_version: int
    partition: Row
    attempts: tuple[Attempt, ...]
    retry_at: str = ""
    """When the next attempt is due, RFC 3339; empty = none is waiting for its backoff."""


class InputFile(Spec, frozen=True, kw_only=True):
    """One file of an attempt's inputs."""

    name: str
    """Path as the program saw it."""
    size: int
    """Bytes."""


class AttemptInputs(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """What one attempt had as inputs."""

    attempt: int
    execution_id: ExecutionId
    is_known: bool = field(name="Known")
    """False = it has not ended, never came so far, or was lost."""
    items: tuple[InputFile, ...] = ()
    """By name, at most 100."""
    rest: int = 0
    """How many more there were."""
    rest_size: int = 0
    """Bytes of those."""
    is_more: bool = field(default=False, name="More")
    """Whether there were still others that nobody counted."""


class PartitionInputs(Spec, frozen=True, kw_only=True):
    """What the attempts of a partition had as inputs, oldest first."""

    next_token: str
    items: tuple[AttemptInputs, ...]


class LogMatch(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """A line of a log that was looked for."""

    partition: int
    attempt: int
    execution_id: ExecutionId
    stream: str
    line: int
    """From 1. Of a log of which a part was cut off: counted in what is left."""
    offset: int
    """Where in the stream the line begins."""
    text: str
    """At most 500 characters, around what matches."""


class LogMatches(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """Lines of logs with a text in them."""

    items: tuple[LogMatch, ...]
    """By partition, stream and offset."""
    searched: int
    """Partitions that were looked at."""
    selected: int
    cut: str = ""
    """`time` or `limit` when not all was looked at; empty = it was."""
    next_partition: int | None = None
    """Where to go on (`from=`) when not all was looked at."""


class FailureGroup(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """Attempts of partitions that failed the same way."""

    group: str
    """Short and stable: what `group:ID` in a selection names."""
    cause: str
    """A `Cause`; empty where a Bacalhau did not say."""
    exit_code: int | None
    message: str
    """The last line of the first of them, numbers and ids taken out."""
    count: int
    """Partitions whose last failed attempt is of this group."""
    partitions: str
    """As ranges: `3-9,12`."""
    sample: Row


class Failures(Spec, frozen=True, kw_only=True):
    """Failure groups of a job, largest first."""

    next_token: str
    items: tuple[FailureGroup, ...]


class NodeReason(Spec, frozen=True, kw_only=True):
    """Why one node does not take a partition."""

    node_id: NodeId
    reason: str


class Explanation(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """Why some partitions wait."""

    reason: str
    """A sentence that also names what was found and what is needed."""
    count: int
    partitions: str
    nodes: tuple[NodeReason, ...]


class Explanations(Spec, frozen=True, kw_only=True):
    """Why partitions of a job wait, most first."""

    next_token: str
    items: tuple[Explanation, ...]


class ActionResult(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """What a retry or stop of partitions did, or would do."""

    count: int
    by_state: dict[str, int]
    """Taken partitions by the state word they had."""
    cursor: str
    evaluation_id: str = ""


class LogRange(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """A piece of one attempt's log."""

    content: bytes = field(name="Data")
    offset: int
    next_offset: int
    size: int
    """Bytes known so far."""
    is_end: bool = field(name="End")
    """Whether `next_offset` is the end of a log that is complete."""
    stamps: tuple[Stamp, ...] = ()
    """Times of the bytes: all below an offset had been seen by that time."""
