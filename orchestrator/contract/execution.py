"""An execution (one attempt at one partition on one node) as it is on the wire, and why attempts fail."""

import enum
from typing import Any

from msgspec import field

from orchestrator.contract.ids import ExecutionId, JobId, NodeId, Timestamp
from orchestrator.contract.job import Job, SpecConfig
from orchestrator.contract.spec import Spec


class ExecutionState(enum.IntEnum):
    """The observed state. Numbers are the wire's; those that no orchestrator of ours writes are there to read Bacalhau's."""

    UNDEFINED = 0
    ASSIGNED = 1
    ASK_FOR_BID = 2
    ASK_FOR_BID_ACCEPTED = 3
    ASK_FOR_BID_REJECTED = 4
    BID_ACCEPTED = 5
    RUNNING = 6
    PUBLISHING = 7
    BID_REJECTED = 8
    COMPLETED = 9
    FAILED = 10
    CANCELLED = 11

    @property
    def is_terminal(self) -> bool:
        """Whether the execution has ended. A terminal record never changes."""
        return self in TERMINAL


TERMINAL = frozenset(
    {
        ExecutionState.ASK_FOR_BID_REJECTED,
        ExecutionState.BID_REJECTED,
        ExecutionState.COMPLETED,
        ExecutionState.FAILED,
        ExecutionState.CANCELLED,
    }
)


class DesiredState(enum.IntEnum):
    """What the orchestrator wants of an execution."""

    PENDING = 0
    RUNNING = 1
    STOPPED = 2


class Cause(enum.StrEnum):
    """Why an attempt did not succeed."""

    EXIT = "exit"
    """The program ended with a code other than 0; one that cannot be started has code 127 or 126."""
    SIGNAL = "signal"
    """Ended by a signal: exit codes 129 to 192."""
    OOM = "oom"
    TIMEOUT = "timeout"
    OUTPUT_LIMIT = "output_limit"
    """Wrote more than 1 GiB to stdout or to stderr."""
    INPUT = "input"
    IMAGE = "image"
    """The image or module does not exist or was refused: trying again cannot help."""
    NODE_LOST = "node_lost"
    """The lease of its node ended."""
    AGENT = "agent"
    """The agent was restarted and could not go on with it."""
    PUBLISH = "publish"
    """Its results could not be stored."""
    IMAGE_PULL = "image_pull"
    """Registry or network trouble."""
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    """Taken back from a node's backlog before it began."""
    SUPERSEDED = "superseded"
    """Another execution of its partition was accepted first."""

    @property
    def payer(self) -> "Payer":
        """Whose budget a failure of this cause counts against."""
        return PAYERS[self]


class Payer(enum.StrEnum):
    """Whose budget a failure counts against."""

    TASK = "task"
    """`Retry.MaxAttempts`."""
    OURS = "ours"
    """`Retry.MaxLost`."""
    NOBODY = "nobody"


PAYERS = {
    Cause.EXIT: Payer.TASK,
    Cause.SIGNAL: Payer.TASK,
    Cause.OOM: Payer.TASK,
    Cause.TIMEOUT: Payer.TASK,
    Cause.OUTPUT_LIMIT: Payer.TASK,
    Cause.INPUT: Payer.TASK,
    Cause.IMAGE: Payer.TASK,
    Cause.NODE_LOST: Payer.OURS,
    Cause.AGENT: Payer.OURS,
    Cause.PUBLISH: Payer.OURS,
    Cause.IMAGE_PULL: Payer.OURS,
    Cause.CANCELLED: Payer.NOBODY,
    Cause.WITHDRAWN: Payer.NOBODY,
    Cause.SUPERSEDED: Payer.NOBODY,
}


class RunOutput(Spec, frozen=True, kw_only=True):
    """The first 2 KiB of what a program wrote, and how it ended."""

    stdout: str
    stdout_truncated: bool
    stderr: str = field(name="stderr")
    stderr_truncated: bool
    exit_code: int
    error_msg: str


NO_OUTPUT = RunOutput(stdout="", stdout_truncated=False, stderr="", stderr_truncated=False, exit_code=0, error_msg="")


class ComputeState(Spec, frozen=True, kw_only=True):
    """The observed state with its message. `details` of ours: `Cause`, `ExitCode`."""

    state_type: ExecutionState
    message: str = ""
    details: dict[str, str] = field(default_factory=dict)


class Desired(Spec, frozen=True, kw_only=True):
    """The desired state with its message."""

    state_type: DesiredState
    message: str = ""


class Execution(Spec, frozen=True, kw_only=True):
    """One attempt at one partition of a job on one node."""

    id: ExecutionId
    namespace: str
    eval_id: str
    name: str
    """Always empty."""
    node_id: NodeId
    job_id: JobId
    job: Job | None = None
    job_version: int
    allocated_resources: dict[str, Any]
    desired_state: Desired
    compute_state: ComputeState
    published_result: SpecConfig
    run_output: RunOutput
    previous_execution: str
    next_execution: str
    followup_eval_id: str = field(name="FollowupEvalID")
    partition_index: int = 0
    attempt: int = 0
    """Ours: ordinal of the execution in its partition, from 1."""
    cause: Cause | None = None
    """Ours."""
    revision: int
    create_time: Timestamp
    modify_time: Timestamp
