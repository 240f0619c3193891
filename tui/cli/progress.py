"""What waiting shows: the lines of each partition, why attempts failed, what holds a job up, how long it may take. Text only."""

from collections import deque

import msgspec

from orchestrator.contract.execution import Cause
from orchestrator.contract.partitions import STOPPING, Attempt, PartitionState, state_word
from tui.cli.printable import counted, printable
from tui.feed import JobView
from tui.model.moments import short_duration

GLYPHS = {
    "unselected": "-",
    "waiting": "·",
    "retrying": "↻",
    "assigned": "○",
    "running": "▶",
    "publishing": "▶",
    "completed": "✓",
    "failed": "✗",
    "stopped": "□",
    "stopping": "□",
}
"""One sign a state."""
QUIET_CAUSES = (Cause.CANCELLED, Cause.WITHDRAWN, Cause.SUPERSEDED)
"""Of attempts that ended without success though nothing failed."""
ACTIVE = (PartitionState.ASSIGNED, PartitionState.RUNNING, PartitionState.PUBLISHING)
WINDOW = 60.0
"""Seconds over which the rate of progress is taken."""


class FailedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that failed, as it is told."""

    index: int
    attempt: int
    node: str
    why: str
    """`exit 7: the last line of stderr`."""
    is_last: bool
    """Whether the partition is out of attempts."""

    def line(self) -> str:
        """`Partition 3: ✗ Failed -> Scheduled for retry (attempt 1 on n2: exit 7: boom)`."""
        return f"Partition {self.index}: {self.text()}"

    def text(self) -> str:
        """The same without the partition."""
        if self.is_last:
            return f"✗ Failed ({self.why})"
        return f"✗ Failed -> Scheduled for retry (attempt {self.attempt} on {self.node}: {self.why})"


def why(cause: str, exit_code: int | None, message: str) -> str:
    """Why an attempt failed, in one line: the cause (an exit code where that is the cause), then the task's own words."""
    head = cause or "failed"
    if exit_code is not None and cause in (Cause.EXIT, Cause.SIGNAL):
        head = f"{'exit' if cause == Cause.EXIT else 'signal, exit'} {exit_code}"
    message = printable(message.strip())
    if message in ("", f"exit code {exit_code}"):
        return head
    return f"{head}: {message}"


def failed_attempts(index: int, attempts: tuple[Attempt, ...], told: int, *, is_failed: bool) -> list[FailedAttempt]:
    """Those of a partition's attempts after the ordinal `told` that failed, oldest first."""
    last = max((attempt.attempt for attempt in attempts), default=0)
    return [
        FailedAttempt(
            index=index,
            attempt=attempt.attempt,
            node=printable(attempt.node_id),
            why=why(attempt.cause, attempt.exit_code, attempt.message),
            is_last=is_failed and attempt.attempt == last,
        )
        for attempt in attempts
        if attempt.attempt > told and attempt.state in ("failed", "lost") and attempt.cause not in QUIET_CAUSES
    ]


def partition_text(view: JobView, index: int, failure: FailedAttempt | None) -> str:
    """Where a partition stands: `✓ Completed`. `failure` is its last failed attempt, if one is known."""
    state = view.states[index]
    word = state_word(state)
    if failure is not None and word in ("retrying", "failed"):
        return failure.text()
    if word == "retrying":
        return "✗ Failed -> Scheduled for retry"
    text = f"{GLYPHS[word]} {word.capitalize()}"
    if view.attempts[index] > 1 and state & ~STOPPING in ACTIVE:
        text += f" (attempt {view.attempts[index]} on {printable(view.node_of(index))})"
    return text


def counts(view: JobView) -> str:
    """`512 of 1000 completed, 3 failed, 8 running`: zeros left out."""
    parts = [f"{view.summary.get('Completed', 0)} of {view.count} completed"]
    order = ("Failed", "Stopped", "Stopping", "Retrying", "Publishing", "Running", "Assigned", "Waiting", "Unselected")
    parts += [f"{view.summary[name]} {name.lower()}" for name in order if view.summary.get(name)]
    return ", ".join(parts)


def has_begun(view: JobView) -> bool:
    """Whether anything of the job is on a node now."""
    return view.number(*ACTIVE) > 0


class Rate:
    """How fast partitions settle, over the last minute; for an ETA that promises nothing it does not know."""

    def __init__(self) -> None:
        self.samples: deque[tuple[float, int]] = deque()

    def add(self, now: float, view: JobView) -> None:
        """Take a sample, at most one in half a second."""
        if self.samples and now - self.samples[-1][0] < 0.5:
            return
        self.samples.append((now, _settled(view)))
        while len(self.samples) > 2 and now - self.samples[0][0] > WINDOW:
            self.samples.popleft()

    def left(self, now: float, view: JobView) -> str:
        """`about 1m20s left`, or `time left unknown` before at least three seconds and five settled partitions were seen."""
        then, before = self.samples[0] if self.samples else (now, 0)
        done = _settled(view)
        if now - then < 3 or done - before < 5:
            return "time left unknown"
        return f"about {short_duration((view.count - done) * (now - then) / (done - before))} left"


def _settled(view: JobView) -> int:
    settled = [state for state in PartitionState if state.is_settled]
    return view.number(*settled)


def bar(view: JobView, width: int) -> str:
    """`[#######xx....]`: completed, failed or stopped, the rest."""
    count = max(view.count, 1)
    done = view.number(PartitionState.COMPLETED) * width // count
    lost = -(-view.number(PartitionState.FAILED, PartitionState.STOPPED) * width // count)
    lost = min(lost, width - done)
    return "[" + "#" * done + "x" * lost + "." * (width - done - lost) + "]"


def header(view: JobView) -> str:
    """`Job with 5 partitions:`."""
    return f"Job with {counted(view.count, 'partition')}:"
