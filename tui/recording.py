"""A recording of one job: a file of JSON lines that a replay shows again, and a test can be made of.

The first line says what it is. Then, in the order of their times: the job, its packed grid, its deltas, failure groups,
nodes. Logs are not in it.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import IO

import msgspec
from msgspec import field

from orchestrator.client import ClientError, OrchestratorClient
from orchestrator.contract.job import Job
from orchestrator.contract.node import NodeState
from orchestrator.contract.partitions import Failures, Frame, Grid, PartitionState
from orchestrator.contract.spec import Spec
from tui.feed import Delta, JobView, Offline, Online, Snapshot, follow, pack

VERSION = 1
KIND = "shoal recording"
LOOKED_AT = 300
"""Files of a directory that are looked at for recordings."""
PERIOD = 5.0
"""Seconds between two looks at failure groups and nodes."""
SOONEST = 1.0
"""Seconds between two looks at failure groups while partitions fail."""


class Header(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """The first line."""

    kind: str
    version: int
    url: str = ""
    began: float = 0.0
    """Seconds since 1970."""


class Entry(Spec, frozen=True, kw_only=True):
    """Any other line: one of these at a time."""

    time: float
    job: Job | None = None
    grid: Grid | None = None
    frame: Frame | None = None
    failures: Failures | None = None
    nodes: tuple[NodeState, ...] | None = field(default=None)


class RecordingError(ValueError):
    """A file that cannot be replayed: the message says why."""


def load(path: Path) -> tuple[Header, list[Entry]]:
    """The header and all entries of a recording; what was cut off at its end is left out. Raises RecordingError."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        message = f"{path}: {(error.strerror or str(error)).lower()}"
        raise RecordingError(message) from error
    try:
        header = msgspec.json.decode(lines[0], type=Header)
    except msgspec.MsgspecError as error:
        message = f"{path} is no recording of shoal"
        raise RecordingError(message) from error
    if header.kind != KIND or header.version != VERSION:
        message = f"{path}: found version {header.version} of {header.kind!r}, allowed: version {VERSION} of {KIND!r}"
        raise RecordingError(message)
    decoder = msgspec.json.Decoder(Entry)
    entries: list[Entry] = []
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        try:
            entries.append(decoder.decode(line))
        except msgspec.MsgspecError as error:
            if number == len(lines):
                break
            message = f"{path}, line {number}: {error}"
            raise RecordingError(message) from error
    if not any(entry.grid is not None for entry in entries):
        message = f"{path}: nothing was recorded yet"
        raise RecordingError(message)
    return header, entries


def recordings(place: Path) -> list[str]:
    """Names of the recordings in a directory, the newest first."""
    found: list[tuple[float, str]] = []
    try:
        for path in sorted(place.iterdir())[:LOOKED_AT]:
            with contextlib.suppress(OSError):
                if path.is_file() and _begins_as_one(path):
                    found.append((-path.stat().st_mtime, path.name))
    except OSError:
        return []
    return [name for _, name in sorted(found)]


def _begins_as_one(path: Path) -> bool:
    with path.open("rb") as file:
        return KIND.encode() in file.read(200)


class Recorder:
    """Follows a job on connections of its own and writes what it hears. `run` ends only when it is cancelled."""

    def __init__(
        self, client: OrchestratorClient, job: str, path: Path, *, wall: Callable[[], float] = time.time
    ) -> None:
        self.client = client
        self.job = job
        self.path = path
        self.wall = wall
        self.view = JobView()
        self._failures: Failures | None = None
        self._trouble = 0
        self._asked = -SOONEST
        self._nodes: tuple[NodeState, ...] | None = None
        self._state = ""

    async def run(self) -> None:
        """Record. Raises OSError when the file cannot be written, ClientError when there is no such job."""
        with self.path.open("xb") as file:
            header = Header(kind=KIND, version=VERSION, url=self.client.url, began=self.wall())
            file.write(msgspec.json.encode(header) + b"\n")
            async with asyncio.TaskGroup() as group:
                beside = group.create_task(self._look_beside(file))
                try:
                    await self._follow(file)
                finally:
                    beside.cancel()

    def _write(self, file: IO[bytes], **what: object) -> None:
        file.write(msgspec.json.encode(Entry(time=self.wall(), **what)) + b"\n")  # type: ignore[arg-type]
        file.flush()

    async def _follow(self, file: IO[bytes]) -> None:
        nodes = 0
        async with aclosing(follow(self.client, self.job, self.view)) as events:
            async for event in events:
                match event:
                    case Snapshot():
                        await self._tell_job(file)
                        await self._tell_failures(file)
                        self._write(file, grid=pack(self.view))
                    case Delta(indices):
                        if self.view.job_state != self._state:
                            await self._tell_job(file)
                        await self._tell_failures(file)
                        self._write(file, frame=pack(self.view, indices, known_nodes=nodes))
                    case Offline() | Online():
                        continue
                nodes = len(self.view.node_ids)

    async def _tell_job(self, file: IO[bytes]) -> None:
        with contextlib.suppress(ClientError):
            self._write(file, job=(await self.client.job(self.view.job_id)).job)
            self._state = self.view.job_state

    async def _tell_failures(self, file: IO[bytes]) -> None:
        """Before a frame that tells of failures, what failed: a replay knows both at the same moment."""
        trouble = self.view.number(PartitionState.FAILED, PartitionState.RETRYING)
        if trouble != self._trouble and time.monotonic() - self._asked > SOONEST:
            self._trouble = trouble
            await self._ask_failures(file)

    async def _ask_failures(self, file: IO[bytes]) -> None:
        self._asked = time.monotonic()
        with contextlib.suppress(ClientError):
            failures = await self.client.failures(self.view.job_id)
            if failures != self._failures:
                self._failures = failures
                self._write(file, failures=failures)

    async def _look_beside(self, file: IO[bytes]) -> None:
        while True:
            if self.view.job_id:
                await self._ask_failures(file)
            with contextlib.suppress(ClientError):
                nodes = (await self.client.nodes()).nodes
                if _steady(nodes) != _steady(self._nodes or ()):
                    self._nodes = nodes
                    self._write(file, nodes=nodes)
            await asyncio.sleep(PERIOD if self.view.job_id else 0.2)


def _steady(nodes: tuple[NodeState, ...]) -> list[object]:
    """What of nodes is worth a line: not that they were heard again."""
    return [(node.info, node.membership, node.connection, node.drain) for node in nodes]
