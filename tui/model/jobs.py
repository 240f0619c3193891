"""The list of jobs: a line each, trouble first."""

from collections.abc import Iterable, Mapping

import msgspec

from orchestrator.contract.job import Job, JobStateType
from orchestrator.contract.overview import JobSummary

NEWEST = float("-inf")
INSTANCE = "bacalhau.org/client.instance.id"
"""Key of a job's meta that tells which installation submitted it."""


class JobLine(msgspec.Struct, frozen=True, kw_only=True):
    """One job as the list shows it. Counts are None until they are known."""

    id: str
    name: str
    state: JobStateType
    message: str
    count: int
    owner: str
    created: float
    """Seconds since 1970."""
    modified: float
    summary: Mapping[str, int] | None = None
    """Partitions by capitalised state."""
    retries: int | None = None
    """Attempts beyond the first."""
    labels: Mapping[str, str] = {}
    is_suspended: bool = False

    def number(self, *states: str) -> int:
        """How many partitions are in these states, by capitalised word."""
        return sum((self.summary or {}).get(state, 0) for state in states)

    @property
    def completed(self) -> int:
        """Partitions that are done."""
        return self.number("Completed")

    @property
    def failed(self) -> int:
        """Partitions that are out of attempts."""
        return self.number("Failed")

    @property
    def rank(self) -> int:
        """How much it needs attention, lowest first: failing while it runs, waiting for room, running, failed, then the rest."""
        if not self.state.is_terminal:
            if self.failed:
                return 0
            if self.state is JobStateType.QUEUED:
                return 1
            return 2 if self.number("Retrying") else 3
        return 4 if self.state is JobStateType.FAILED else 5


def line_of(
    job: Job, summary: Mapping[str, int] | None, retries: int | None = None, *, is_suspended: bool = False
) -> JobLine:
    """The line of a job."""
    return JobLine(
        id=job.id,
        name=job.name or job.id,
        state=job.state.state_type,
        message=job.state.message,
        count=job.count,
        owner=job.labels.get("owner") or job.meta.get("owner") or job.meta.get(INSTANCE) or job.namespace,
        created=job.create_time / 1e9,
        modified=job.modify_time / 1e9,
        summary=summary,
        retries=retries,
        labels=job.labels,
        is_suspended=is_suspended,
    )


def line_of_summary(job: JobSummary) -> JobLine:
    """The line of a job that the cluster's watch tells of."""
    return JobLine(
        id=job.job_id,
        name=job.name or job.job_id,
        state=JobStateType(job.state),
        message=job.message,
        count=job.count,
        owner=job.labels.get("owner") or job.owner or job.namespace,
        created=job.create_time / 1e9,
        modified=job.modify_time / 1e9,
        summary=job.summary,
        retries=job.progress.retries,
        labels=job.labels,
        is_suspended=job.is_suspended,
    )


def hold_of(lines: Iterable[JobLine]) -> str:
    """What can be done to some jobs: `suspend` those that are not, `resume` where all are, or nothing where all have ended."""
    left = [line.is_suspended for line in lines if not line.state.is_terminal]
    return "" if not left else "resume" if all(left) else "suspend"


SORTS = ("trouble", "newest", "name", "state", "progress")


def sorted_lines(lines: Iterable[JobLine], order: str) -> list[JobLine]:
    """Lines in the order that an operator asks for, one of SORTS."""
    match order:
        case "name":
            return sorted(lines, key=lambda line: (line.name.lower(), line.id))
        case "state":
            return sorted(lines, key=lambda line: (line.state.value, -line.created))
        case "progress":
            return sorted(lines, key=lambda line: (line.completed / max(1, line.count), -line.created))
        case "newest":
            return sorted(lines, key=lambda line: -line.created)
        case _:
            return sorted(lines, key=lambda line: (line.rank, -line.created))


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """`failed,running owner:ops etl`: state words, `name:`, `owner:`, or a piece of the name. A blank is *and*, a comma *or*."""

    clauses: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "JobFilter":
        """Read a filter. Raises ValueError for a field that does not exist."""
        clauses = []
        for clause in text.split():
            pieces = tuple(piece for piece in clause.split(",") if piece)
            for piece in pieces:
                field, colon, _ = piece.lstrip("!").partition(":")
                if colon and field not in ("state", "name", "owner", "id"):
                    message = f"filter: {piece!r}: allowed: state:, name:, owner:, id:, or a piece of the name"
                    raise ValueError(message)
            clauses.append(pieces)
        return cls(clauses=tuple(clause for clause in clauses if clause))

    def test(self, line: JobLine) -> bool:
        """Whether a job is shown."""
        return all(any(_holds(piece.lower(), line) for piece in clause) for clause in self.clauses)


def _holds(piece: str, line: JobLine) -> bool:
    if piece.startswith("!"):
        return not _holds(piece[1:], line)
    field, colon, value = piece.partition(":")
    state = line.state.value.lower()
    if not colon:
        return piece == state or piece in line.name.lower() or line.id.lower().startswith(piece)
    match field:
        case "state":
            return value == state
        case "owner":
            return value in line.owner.lower()
        case "id":
            return line.id.lower().startswith(value)
        case _:
            return value in line.name.lower()


class Alarm:
    """Notices which jobs fail while somebody looks."""

    def __init__(self) -> None:
        self._unfinished: set[str] = set()

    def failed(self, lines: Iterable[JobLine]) -> list[str]:
        """Names of the jobs that were unfinished the last time and have failed by now."""
        lines = list(lines)
        names = [line.name for line in lines if line.state is JobStateType.FAILED and line.id in self._unfinished]
        self._unfinished = {line.id for line in lines if not line.state.is_terminal}
        return names


class RetryRate:
    """Retries a minute of each job, with the last eight readings for a spark line."""

    PERIOD = 5.0
    READINGS = 8

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, int]] = {}
        self.rates: dict[str, list[float]] = {}

    def note(self, line: JobLine, now: float) -> None:
        """Take in how many retries a job had by `now` (seconds of any clock)."""
        if line.retries is None:
            return
        then, before = self._seen.get(line.id, (NEWEST, line.retries))
        if now - then < self.PERIOD:
            return
        self._seen[line.id] = (now, line.retries)
        if then > NEWEST:
            rate = max(0, line.retries - before) * 60 / (now - then)
            self.rates[line.id] = [*self.rates.get(line.id, []), rate][-self.READINGS :]

    def of(self, job: str) -> list[float]:
        """Readings of a job, oldest first."""
        return self.rates.get(job, [])


class Pace:
    """How fast a job completes, and when it will be done: over the last minute."""

    WINDOW = 60.0

    def __init__(self) -> None:
        self._points: dict[str, list[tuple[float, int]]] = {}

    def note(self, line: JobLine, now: float) -> None:
        """Take in how much is done by `now`."""
        points = self._points.setdefault(line.id, [])
        points.append((now, line.completed))
        while len(points) > 2 and now - points[0][0] > self.WINDOW:
            points.pop(0)

    def left(self, line: JobLine) -> float | None:
        """Seconds until the rest is done at this pace; None = not known, or nothing moves."""
        points = self._points.get(line.id, [])
        if line.state.is_terminal or len(points) < 2:
            return None
        (then, before), (now, done) = points[0], points[-1]
        if now - then < 2 or done <= before:
            return None
        rest = line.count - done - line.number("Failed", "Stopped", "Unselected")
        return rest * (now - then) / (done - before)


def spark(readings: Iterable[float], glyphs: str = "▁▂▃▄▅▆▇█") -> str:
    """A line of bars, the highest reading at the top."""
    values = list(readings)
    top = max(values, default=0)
    return "".join(glyphs[min(len(glyphs) - 1, int(value * (len(glyphs) - 1) / top)) if top else 0] for value in values)
