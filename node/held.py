"""An execution that this node has, and where it stands here. The one mutable record of the agent."""

import asyncio
import enum

import msgspec

from node.engines.base import Handle, Launch, Outcome
from node.streams import Output
from orchestrator.contract.agent import Assignment, End, Inputs, Report
from orchestrator.contract.execution import Cause, ExecutionState
from orchestrator.contract.ids import ExecutionId
from orchestrator.contract.job import Job
from orchestrator.contract.node import Resources


class Phase(enum.Enum):
    """Where an execution stands on its node."""

    BACKLOG = enum.auto()
    """Waits for room; holds no capacity."""
    PREPARING = enum.auto()
    RUNNING = enum.auto()
    PUBLISHING = enum.auto()
    """The engine has ended; its log or results are being stored. Holds no capacity."""
    ENDED = enum.auto()

    @property
    def holds_capacity(self) -> bool:
        """Whether the need of an execution in this phase counts as used."""
        return self in (Phase.PREPARING, Phase.RUNNING)


STATES = {
    Phase.BACKLOG: ExecutionState.ASSIGNED,
    Phase.PREPARING: ExecutionState.ASSIGNED,
    Phase.RUNNING: ExecutionState.RUNNING,
    Phase.PUBLISHING: ExecutionState.PUBLISHING,
    Phase.ENDED: ExecutionState.PUBLISHING,
}
"""What each phase is called in a report that does not tell the end."""


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Why an execution has to end before its program does."""

    cause: Cause
    message: str


class Held(msgspec.Struct, kw_only=True, eq=False):
    """One execution on this node. Only `agent` and `runner` change it."""

    assignment: Assignment
    job: Job
    need: Resources
    phase: Phase = Phase.BACKLOG
    stop: Stop | None = None
    """Set once; whoever sets it has the running task cancelled."""
    task: asyncio.Task[None] | None = None
    is_entered: bool = False
    """Whether a stop cancels the task: one cancelled before its first step never ends, and one that looks for what an agent
    before this one left ends nothing."""
    launch: Launch | None = None
    handle: Handle | None = None
    output: Output | None = None
    started: float | None = None
    """`boot_seconds` when its engine started."""
    inputs: Inputs | None = None
    """What it found as inputs; None = it has none, or did not come so far."""
    outcome: Outcome | None = None
    """How the engine ended, once it did."""
    run_seconds: float | None = None
    state: ExecutionState = ExecutionState.ASSIGNED
    """Of the end; means nothing before."""
    end: End | None = None
    ended: float = 0.0
    """`boot_seconds` of the end."""
    named: int = 0
    """Seq of the first sync that reported the end; 0 = none did."""

    @property
    def id(self) -> ExecutionId:
        """The execution's id."""
        return self.assignment.execution_id

    @property
    def engine(self) -> str:
        """The name of its engine."""
        return self.job.task.engine.type.lower()

    def report(self, seq: int, now: float, *, with_end: bool) -> Report:
        """The line about it in the sync `seq` sent at `now`; an end counts as named from the first line that has it.

        Without `with_end` what has ended is said to be publishing still.
        """
        if with_end and self.end is not None:
            self.named = self.named or seq
            end = msgspec.structs.replace(self.end, ended_ago=max(0.0, now - self.ended))
            return Report(execution_id=self.id, state=self.state, end=end)
        return Report(
            execution_id=self.id,
            state=STATES[self.phase],
            is_backlog=self.phase is Phase.BACKLOG,
            need=self.need if self.phase.holds_capacity else None,
            running_ago=None if self.started is None else max(0.0, now - self.started),
        )
