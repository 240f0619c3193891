"""What runs here, on disk, so that a restarted agent adopts it or cleans up.

One file of JSON lines, appended without fsync: it has to outlive the agent, and what it names does not outlive the machine.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import structlog

from node.engines.base import Handle, Launch, Outcome
from orchestrator.contract.agent import Assignment, End
from orchestrator.contract.execution import ExecutionState
from orchestrator.contract.ids import ExecutionId, JobId
from orchestrator.contract.job import Job

log = structlog.get_logger()

COMPACT_BYTES = 1 << 20
"""A journal is written anew once it has grown by this and holds more dead lines than live ones."""


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag="opened"):
    """A session was granted."""

    cluster_id: str
    session: str
    lease_seconds: float
    fence_seconds: float


class Committed(msgspec.Struct, frozen=True, kw_only=True, tag="committed"):
    """The highest commit number of the orchestrator that was seen."""

    commit: int


class Specified(msgspec.Struct, frozen=True, kw_only=True, tag="job"):
    """A job version that executions below it run."""

    job: Job


class Intended(msgspec.Struct, frozen=True, kw_only=True, tag="intended"):
    """An engine is about to be asked to start this."""

    assignment: Assignment
    launch: Launch


class Started(msgspec.Struct, frozen=True, kw_only=True, tag="started"):
    """The engine started it."""

    execution_id: ExecutionId
    handle: Handle
    at: float
    """`boot_seconds`, in the boot `boot`."""
    boot: str


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """The engine ended; log and results still have to be stored."""

    execution_id: ExecutionId
    outcome: Outcome
    run_seconds: float


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    """It has ended and is reported until the orchestrator knows."""

    execution_id: ExecutionId
    state: ExecutionState
    end: End
    at: float
    boot: str


class Forgotten(msgspec.Struct, frozen=True, kw_only=True, tag="forgotten"):
    """The orchestrator knows the end."""

    execution_id: ExecutionId


Line = Opened | Committed | Specified | Intended | Started | Finished | Ended | Forgotten


class Entry(msgspec.Struct, kw_only=True):
    """Everything the journal says about one execution."""

    intended: Intended
    started: Started | None = None
    finished: Finished | None = None
    ended: Ended | None = None


class Past(msgspec.Struct, kw_only=True):
    """What a journal told when it was opened."""

    opened: Opened | None = None
    commit: int = 0
    jobs: dict[tuple[JobId, int], Job] = {}
    entries: dict[ExecutionId, Entry] = {}

    def tell(self, line: Line) -> None:
        """Take in the next line. Lines about executions that are not known are passed over."""
        match line:
            case Opened():
                self.opened = line
            case Committed():
                self.commit = line.commit
            case Specified():
                self.jobs[line.job.id, line.job.version] = line.job
            case Intended():
                self.entries[line.assignment.execution_id] = Entry(intended=line)
            case Forgotten():
                self.entries.pop(line.execution_id, None)
            case Started() | Finished() | Ended():
                entry = self.entries.get(line.execution_id)
                if entry is not None:
                    setattr(entry, type(line).__name__.lower(), line)


def to_text(value: object) -> str:
    """How a path is written."""
    if isinstance(value, Path):
        return str(value)
    message = f"a journal cannot hold {type(value).__name__}"
    raise NotImplementedError(message)


def from_text(wanted: type, value: Any) -> Any:
    """How a path is read back."""
    if wanted is Path and isinstance(value, str):
        return Path(value)
    message = f"a journal cannot hold {wanted.__name__}"
    raise NotImplementedError(message)


encoder = msgspec.json.Encoder(enc_hook=to_text)
decoder = msgspec.json.Decoder(Line, dec_hook=from_text)


class Journal:
    """Appends what happens to executions; at the next start `past` tells it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.past = Past()
        self._head: dict[str, bytes] = {}
        self._jobs: dict[tuple[JobId, int], bytes] = {}
        self._lines: dict[ExecutionId, list[bytes]] = {}
        self._job_of: dict[ExecutionId, tuple[JobId, int]] = {}
        self._grown = 0
        self._is_behind = False
        """Whether the disk did not take a line."""
        size = 0
        for line, text in read(path):
            self.past.tell(line)
            self._keep(line, text)
            size += len(text)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._file, size)
        self._compact_if_possible()

    def append(self, line: Line) -> None:
        """Write a line; it outlives this process when this returns.

        Raises OSError when the disk does not take it; then nothing of it is there.
        """
        self._catch_up()
        if isinstance(line, Specified) and (line.job.id, line.job.version) in self._jobs:
            return
        text = encoder.encode(line) + b"\n"
        self._write(text)
        self._grown += len(text)
        self._keep(line, text)
        if isinstance(line, Specified):
            return  # for an execution that comes next: compacted now, it would go as one that nothing needs
        if self._grown > COMPACT_BYTES and self._grown > 2 * self._live_bytes():
            self._compact_if_possible()

    def note(self, line: Line) -> None:
        """Write a line that the next agent can do without: when the disk does not take it, it is written later."""
        try:
            self.append(line)
        except OSError as error:
            if not self._is_behind:
                log.warning("journal_behind", path=str(self._path), reason=error.strerror)
            self._is_behind = True
            self._keep(line, encoder.encode(line) + b"\n")

    def catch_up(self) -> None:
        """Write what the disk did not take, if it does now."""
        with contextlib.suppress(OSError):
            self._catch_up()

    def _catch_up(self) -> None:
        if self._is_behind:
            self._compact()
            self._is_behind = False

    def _write(self, text: bytes) -> None:
        """The whole text or nothing: a part would hide all that comes after it."""
        written = os.write(self._file, text)
        if written < len(text):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))

    def knows(self, execution_id: ExecutionId) -> bool:
        """Whether an intent of it is in the journal."""
        return execution_id in self._lines

    def close(self) -> None:
        """Give up the file."""
        os.close(self._file)

    def _keep(self, line: Line, text: bytes) -> None:
        match line:
            case Opened() | Committed():
                self._head[type(line).__name__] = text
            case Specified():
                self._jobs[line.job.id, line.job.version] = text
            case Intended():
                assignment = line.assignment
                self._lines[assignment.execution_id] = [text]
                self._job_of[assignment.execution_id] = (assignment.job_id, assignment.job_version)
            case Forgotten():
                self._lines.pop(line.execution_id, None)
                self._job_of.pop(line.execution_id, None)
            case Started() | Finished() | Ended():
                if line.execution_id in self._lines:
                    self._lines[line.execution_id].append(text)

    def _live(self) -> Iterator[bytes]:
        yield from self._head.values()
        yield from self._jobs.values()
        for lines in self._lines.values():
            yield from lines

    def _live_bytes(self) -> int:
        return sum(map(len, self._live()))

    def _compact_if_possible(self) -> None:
        """Compact, unless the disk has no room for it: later, then."""
        try:
            self._compact()
        except OSError as error:
            log.warning("journal_not_compacted", path=str(self._path), reason=error.strerror)
            self._grown = 0

    def _compact(self) -> None:
        """Write the live lines into a new file and put it in the old one's place. Raises OSError; then the old one stays."""
        needed = set(self._job_of.values())
        self._jobs = {key: text for key, text in self._jobs.items() if key in needed}
        beside = self._path.with_suffix(".new")
        file = os.open(beside, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with open(file, "wb", closefd=False) as writer:
                writer.writelines(self._live())
            beside.rename(self._path)
        except BaseException:
            os.close(file)
            beside.unlink(missing_ok=True)
            raise
        os.close(self._file)
        self._file = file
        self._grown = 0


def read(path: Path) -> Iterator[tuple[Line, bytes]]:
    """The lines of a journal and their text, up to the first that is not whole: a machine that went down may leave such a one."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as reader:
        for number, text in enumerate(reader, 1):
            try:
                if not text.endswith(b"\n"):
                    log.warning("journal_cut", path=str(path), line=number, reason="no end of line")
                    return
                yield decoder.decode(text), text
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                log.warning("journal_cut", path=str(path), line=number, reason=str(error))
                return
