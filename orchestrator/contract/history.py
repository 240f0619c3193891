"""History: what happened to a job and its executions, one line each."""

import enum

from msgspec import field

from orchestrator.contract.ids import ExecutionId, JobId
from orchestrator.contract.spec import Spec


class Level(enum.StrEnum):
    """Whose line of history it is."""

    JOB = "JobLevel"
    EXECUTION = "ExecutionLevel"
    NODE = "NodeLevel"
    """Ours: only in the cluster's events."""


class Topic(enum.StrEnum):
    """What a line of history is about."""

    SUBMISSION = "Submission"
    STATE_UPDATE = "State Update"
    SCHEDULING = "Scheduling"
    QUEUEING = "Queueing"
    JOB_TIMEOUT = "Job Timeout"
    EXECUTION_TIMEOUT = "Exec Timeout"
    EXECUTION = "Execution"
    PREPARING = "Preparing Environment"
    RUNNING = "Running Execution"
    PUBLISHING = "Publishing Results"
    NODE = "Node"
    """Ours."""


class Event(Spec, frozen=True, kw_only=True):
    """What happened. Keys of `details`: `IsError` "true", `Hint`, `NewState`, `NodeID`, `Reason`, `Cause`, `ExitCode`, ..."""

    message: str
    topic: str
    timestamp: str
    """RFC 3339 with nanoseconds, UTC."""
    details: dict[str, str] = field(default_factory=dict)


class JobHistory(Spec, frozen=True, kw_only=True):
    """One line of a job's history."""

    seq_num: int
    """1, 2, 3... per job, counting on over its versions."""
    type: Level
    job_id: JobId
    job_version: int
    execution_id: ExecutionId = ExecutionId("")
    event: Event
    time: str


class Stamp(Spec, frozen=True, kw_only=True, array_like=True):
    """All bytes of a log below `offset` had been seen at `time` (RFC 3339)."""

    offset: int
    time: str
