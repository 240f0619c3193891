"""The records of a cluster, one store table each. Frozen: they are replaced whole, never changed.

They hold the contract's own models, not copies of their fields. Times are nanoseconds since 1970, as on the wire.
"""

import msgspec

from orchestrator.contract.agent import Inputs, LogTail
from orchestrator.contract.execution import Cause, DesiredState, ExecutionState, RunOutput
from orchestrator.contract.history import Level
from orchestrator.contract.ids import ExecutionId, JobId, NodeId, Timestamp
from orchestrator.contract.job import PINNED, Job, ResourcesConfig, SpecConfig
from orchestrator.contract.node import Connection, Membership, NodeInfo
from orchestrator.contract.partitions import PartitionState

NEVER = Timestamp(0)
"""A time that is not set."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all records. Names are kept as they are: records are the store's, not the wire's."""


class Override(Record, frozen=True, kw_only=True):
    """What a retry asked to be different for some partitions."""

    resources: ResourcesConfig | None = None
    """Empty fields are the job's."""
    timeout: int | None = None
    """ExecutionTimeout, seconds."""
    avoid: tuple[NodeId, ...] = ()
    """Nodes that they are not placed on."""
    max_attempts: int | None = None


class Overridden(Record, frozen=True, kw_only=True):
    """Which partitions an override is for. Of several that name a partition the last one counts."""

    partitions: str
    """As ranges: `3-9,12`."""
    override: Override | None
    """None = they are as the job says again."""


class JobRecord(Record, frozen=True, kw_only=True):
    """One version of a job: the spec with its state, and what only we need to know."""

    job: Job
    began: Timestamp
    """From when TotalTimeout counts: submission, update, rerun or retry."""
    queued_since: Timestamp = NEVER
    """Since when nothing of the job is assigned and nothing could be; NEVER = it is not Queued."""
    hopeless_since: Timestamp = NEVER
    """Since when no connected node could take it even if idle; NEVER = one could, or it was placed."""
    was_placed: bool = False
    """Whether an execution of this version was placed. From then on only the job's own QueueTimeout ends its waiting."""
    untouched: PartitionState = PartitionState.WAITING
    """Where partitions without a record of their own stand: waiting, or stopped with the job."""
    targets: tuple[NodeId, ...] = ()
    """Of ops and daemon jobs: the node that each partition belongs to."""
    overrides: tuple[Overridden, ...] = ()
    is_suspended: bool = False
    """Nothing of it is placed."""
    first_failure: str = ""
    """The first partition that ran out of attempts, and the task's own error, for the job's message."""

    @property
    def width(self) -> int:
        """Number of partitions."""
        return len(self.targets) if self.job.type in PINNED else self.job.count


class PartitionRecord(Record, frozen=True, kw_only=True):
    """Where one partition of one job version stands. None is stored while it is untouched."""

    job_id: JobId
    job_version: int
    index: int
    state: PartitionState
    attempts: int = 0
    """Executions so far, whoever pays for them; the ordinal of the last one."""
    unbegun: int = 0
    """Those of them that were taken back or lost before they began: what follows them is no retry."""
    billed: int = 0
    """Failures that the task pays for, since the last explicit retry."""
    lost: int = 0
    """Failures that our side pays for, since the last explicit retry."""
    retry_due: Timestamp = NEVER
    """When the next attempt may be placed; NEVER = at once."""
    accepted: ExecutionId = ExecutionId("")
    """The execution whose success was accepted."""
    last_node: NodeId = NodeId("")
    """Where its last execution was placed."""


class ExecutionRecord(Record, frozen=True, kw_only=True):
    """One attempt at one partition on one node. A terminal one never changes."""

    id: ExecutionId
    job_id: JobId
    job_version: int
    namespace: str
    index: int
    attempt: int
    node_id: NodeId
    evaluation_id: str
    override: Override | None = None
    session: str
    """The session of the node's agent that it was assigned in. An agent of a later one that does not name it has lost it."""
    desired: DesiredState = DesiredState.PENDING
    desired_message: str = ""
    state: ExecutionState = ExecutionState.ASSIGNED
    message: str = ""
    stop_cause: Cause | None = None
    """Why it should stop, once it should: becomes `cause` when it does."""
    cause: Cause | None = None
    exit_code: int | None = None
    run_output: RunOutput | None = None
    published: SpecConfig | None = None
    log_truncated: bool = False
    revision: int = 1
    created: Timestamp
    modified: Timestamp
    started: Timestamp = NEVER
    """When its engine started."""
    finished: Timestamp = NEVER


class Happening(Record, frozen=True, kw_only=True):
    """One line of history: when, what, whose, why."""

    job_id: JobId
    seq: int
    job_version: int
    level: Level
    execution_id: ExecutionId = ExecutionId("")
    index: int = -1
    """The partition, for lines of executions."""
    topic: str
    message: str
    time: Timestamp
    details: dict[str, str] = {}


class Draining(Record, frozen=True, kw_only=True):
    """A node takes nothing new."""

    reason: str
    since: Timestamp
    deadline: Timestamp = NEVER
    """When what still runs is stopped and moved; NEVER = it may finish."""


class NodeRecord(Record, frozen=True, kw_only=True):
    """A node: who it is, whether it may take part, whether its lease holds."""

    id: NodeId
    membership: Membership
    connection: Connection
    info: NodeInfo
    session: str
    """The agent start that holds this node."""
    last_sync: Timestamp
    """In the store: as of the last change of this record."""
    connected_since: Timestamp = NEVER
    disconnected_since: Timestamp = NEVER
    last_error: str = ""
    draining: Draining | None = None
    failures: tuple[tuple[int, int], ...] = ()
    """Executions that failed here in the last hour: minutes since 1970, how many in each."""


class TailRecord(Record, frozen=True, kw_only=True):
    """The last piece of one stream's log of an execution, kept in the commit of its end."""

    execution_id: ExecutionId
    tail: LogTail


class InputsRecord(Record, frozen=True, kw_only=True):
    """What an execution had as inputs, kept in the commit of its end."""

    execution_id: ExecutionId
    inputs: Inputs


class AnswerRecord(Record, frozen=True, kw_only=True):
    """The answer to a request with an idempotency token, replayed for 24 hours."""

    token: str
    """Method, path and token, so that a token means one request."""
    body: bytes
    time: Timestamp


class Changes(msgspec.Struct, kw_only=True):
    """Everything one commit writes, all of it or nothing. Each record replaces the one of the same key."""

    jobs: list[JobRecord] = []
    partitions: list[PartitionRecord] = []
    executions: list[ExecutionRecord] = []
    happenings: list[Happening] = []
    nodes: list[NodeRecord] = []
    deleted_nodes: list[NodeId] = []
    tails: list[TailRecord] = []
    inputs: list[InputsRecord] = []
    answers: list[AnswerRecord] = []

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return any(getattr(self, name) for name in self.__struct_fields__)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What is unsettled: everything a restarted orchestrator needs in memory."""

    cluster_id: str
    commit: int
    last_time: Timestamp
    """The latest time that was committed: the clock never goes below it."""
    jobs: list[JobRecord]
    """Latest versions that have not ended, and all versions with an execution that has not, with the latest one of their job."""
    partitions: list[PartitionRecord]
    """Of those jobs."""
    executions: list[ExecutionRecord]
    """That have not ended."""
    nodes: list[NodeRecord]
    next_seqs: dict[JobId, int]
    """Of those jobs: the number of the next line of history."""
