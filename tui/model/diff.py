"""What differs between two attempts: their facts, inputs, variables, and their logs once numbers, ids and times are taken out."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher

import msgspec

from orchestrator.contract.job import Job
from orchestrator.contract.partitions import Attempt, AttemptInputs, Override
from tui.model.moments import bytes_text, clock, counted, seconds_of, short_duration
from tui.model.text import clean

MOST = 20_000
"""Lines of a log that are compared: of a longer one the last."""
NOISE = re.compile(
    r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{20,}|\b[0-9a-f]{12,}\b|\d{4}-\d\d-\d\d[T ][\d:.,]+Z?|\d+",
    re.IGNORECASE,
)
AROUND = 3
"""Equal lines that are shown before and behind a difference."""


class Change(msgspec.Struct, frozen=True):
    """One line of the comparison. `kind`: `=` in both, `-` only in A, `+` only in B, `~` differs, `.` so many are left out."""

    kind: str
    left: str
    right: str


def normal(line: str) -> str:
    """A line as failure groups see it: numbers, ids and times are all alike."""
    return NOISE.sub("N", line)


def compare(left: Sequence[str], right: Sequence[str]) -> list[Change]:
    """Two logs, line by line; long stretches that are equal are left out. Fit for a thread."""
    left, right = left[-MOST:], right[-MOST:]
    matcher = SequenceMatcher(None, [*map(normal, left)], [*map(normal, right)], autojunk=len(left) > 2_000)
    changes: list[Change] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            changes += [Change("=", one, two) for one, two in zip(left[a:b], right[c:d], strict=True)]
        else:
            both = min(b - a, d - c)
            changes += [Change("~", left[a + at], right[c + at]) for at in range(both)]
            changes += [Change("-", one, "") for one in left[a + both : b]]
            changes += [Change("+", "", two) for two in right[c + both : d]]
    return _short(changes)


def _short(changes: Sequence[Change]) -> list[Change]:
    near: set[int] = set()
    for at, change in enumerate(changes):
        if change.kind != "=":
            near.update(range(at - AROUND, at + AROUND + 1))
    if not near:
        near = set(range(AROUND))
    shown: list[Change] = []
    hidden = 0
    for at, change in enumerate(changes):
        if at in near:
            if hidden:
                shown.append(Change(".", f"{hidden:,} equal lines", ""))
                hidden = 0
            shown.append(change)
        else:
            hidden += 1
    if hidden:
        shown.append(Change(".", f"{hidden:,} equal lines", ""))
    return shown


def facts(attempt: Attempt, index: int) -> dict[str, str]:
    """What is to be compared of an attempt, as text."""
    begun, ended = seconds_of(attempt.started), seconds_of(attempt.finished)
    return {
        "partition": f"{index}, attempt {attempt.attempt}",
        "state": attempt.state,
        "node": attempt.node_id,
        "cause": attempt.cause,
        "exit code": "" if attempt.exit_code is None else str(attempt.exit_code),
        "message": attempt.message,
        "started": clock(begun) if begun else "",
        "ran": short_duration(ended - begun) if begun and ended else "",
        "execution": attempt.execution_id,
    }


def asked(job: Job, attempt: Attempt) -> dict[str, str]:
    """What an attempt was given: as the job says it, or as its retry asked."""
    task, override = job.task, attempt.override or Override()
    resources = task.resources.changed_by(override.resources) if override.resources else task.resources
    seconds = override.timeout or task.timeouts.execution_timeout
    return {
        "cpu": resources.cpu,
        "memory": resources.memory,
        "disk": resources.disk,
        "gpu": resources.gpu,
        "timeout": short_duration(seconds) if seconds else "",
        "avoided": ", ".join(override.avoid_nodes),
    }


def fact_changes(left: Mapping[str, str], right: Mapping[str, str]) -> list[tuple[str, Change]]:
    """A change a fact, with its name; what neither has is left out."""
    names: Iterable[str] = dict.fromkeys([*left, *right])
    pairs = [(name, left.get(name, ""), right.get(name, "")) for name in names]
    return [(name, Change("=" if one == two else "~", one, two)) for name, one, two in pairs if one or two]


def inputs_summary(inputs: AttemptInputs | None) -> str:
    """How many files an attempt had, and of what size."""
    if inputs is None or not inputs.is_known:
        return "not reported"
    number = len(inputs.items) + inputs.rest
    size = sum(one.size for one in inputs.items) + inputs.rest_size
    return f"{counted(number, 'file')}{' and more' if inputs.is_more else ''}, {bytes_text(size)}"


def input_sizes(inputs: AttemptInputs | None) -> dict[str, str]:
    """The files by name, each with its size."""
    return {clean(one.name): f"  {bytes_text(one.size)} ({one.size:,} bytes)" for one in inputs.items} if inputs else {}


def variables(job: Job | None) -> dict[str, str]:
    """The variables that a job sets, as it says them: what `env:NAME` stands for is known to the node alone."""
    return {clean(name): f"={clean(value)}" for name, value in job.task.env.items()} if job else {}


def named_changes(left: Mapping[str, str], right: Mapping[str, str]) -> list[Change]:
    """Two sets of named things, by name; long stretches that are equal are left out."""
    changes = []
    for name in sorted({*left, *right}):
        one, two = (f"{name}{side[name]}" if name in side else "" for side in (left, right))
        changes.append(Change("=" if one == two else "~" if one and two else "-" if one else "+", one, two))
    return _short(changes)


def nearest_completed(states: bytes | bytearray, index: int, completed: int) -> int | None:
    """The completed partition nearest to another one; of two as near the lower. None = there is none."""
    below = states.rfind(completed, 0, max(index, 0))
    above = states.find(completed, index + 1)
    if below < 0 or above < 0:
        found = max(below, above)
        return found if found >= 0 else None
    return below if index - below <= above - index else above
