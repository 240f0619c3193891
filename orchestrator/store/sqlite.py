"""The store in one SQLite file: WAL, every commit synced, one thread that writes, a few that read.

Reads never wait for the writer and see whole commits only; nothing here blocks the event loop.
"""

import asyncio
import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from orchestrator.contract.ids import SECOND, ExecutionId, JobId, Timestamp
from orchestrator.core.model import (
    NEVER,
    AnswerRecord,
    Changes,
    ExecutionRecord,
    Happening,
    InputsRecord,
    JobRecord,
    PartitionRecord,
    Snapshot,
    TailRecord,
)
from orchestrator.errors import StoreError
from orchestrator.store import reads
from orchestrator.store.base import EventQuery, ExecutionQuery, Glance, HistoryQuery, JobQuery, Tally
from orchestrator.store.files import DATABASE, connect, lock, open_database
from orchestrator.store.memory import ANSWERS_KEPT
from orchestrator.store.tables import write

READERS = 3
PURGE_PERIOD = 3600 * SECOND
"""Nanoseconds between two looks for answers that are too old."""

Found = TypeVar("Found")


class SqliteStore:
    """Keeps the promises of `Store` in a directory. Made by `open`, given up by `close`."""

    def __init__(self, directory: Path, held: int, connection: sqlite3.Connection) -> None:
        self._path = directory / DATABASE
        self._lock = held
        self._connection = connection
        self._writer = ThreadPoolExecutor(1, "store-writer")
        self._readers = ThreadPoolExecutor(READERS, "store-reader")
        self._local = threading.local()
        self._reading: list[sqlite3.Connection] = []
        self._failure: StoreError | None = None
        self._now = NEVER
        self._purged = NEVER
        self._is_closed = False

    @classmethod
    async def open(cls, directory: Path) -> Self:
        """Open the store in `directory`, which is made (readable by its owner alone) where it does not exist.

        Raises StoreError, with nothing changed, when another process has it, or the file is not ours, damaged or newer.
        """
        return await asyncio.to_thread(cls._open, directory)

    @classmethod
    def _open(cls, directory: Path) -> Self:
        held = lock(directory)
        with ExitStack() as undo:
            undo.callback(os.close, held)
            connection = open_database(directory)
            undo.callback(connection.close)
            store = cls(directory, held, connection)
            with store._told("cannot be read"):
                connection.execute("INSERT OR IGNORE INTO cluster VALUES (1, ?, 0, 0)", (str(uuid.uuid4()),))
                store._now = connection.execute("SELECT last_time FROM cluster").fetchone()[0]
            undo.pop_all()
        return store

    async def commit(self, changes: Changes, number: int, now: Timestamp) -> None:
        """Write all of `changes` as commit `number`; synced to the disk when this returns."""
        await self._run(self._writer, self._commit, changes, number, now)

    def _commit(self, changes: Changes, number: int, now: Timestamp) -> None:
        if self._failure:
            raise self._failure
        connection = self._connection
        try:
            with self._told(f"commit {number} failed"):
                connection.execute("BEGIN IMMEDIATE")
                write(connection, changes)
                connection.execute("UPDATE cluster SET last_commit = ?, last_time = max(last_time, ?)", (number, now))
                if now - self._purged > PURGE_PERIOD:
                    connection.execute("DELETE FROM answers WHERE time < ?", (now - ANSWERS_KEPT,))
                    self._purged = now
                connection.execute("COMMIT")
        except BaseException as error:
            reason = (
                error if isinstance(error, StoreError) else StoreError(str(self._path), f"commit {number}: {error!r}")
            )
            self._failure = reason
            self._roll_back()
            raise
        self._now = max(self._now, now)

    def _roll_back(self) -> None:
        """Also after a failure of the medium, which may already have rolled back, or make this fail as well."""
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    async def close(self) -> None:
        """Finish what was begun, close the file and give up the lock. Closing twice is fine."""
        if self._is_closed:
            return
        self._is_closed = True
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._readers.shutdown()
        self._writer.shutdown()
        try:
            for connection in self._reading:
                connection.close()
            with self._told("cannot be closed"):
                self._connection.close()
        finally:
            os.close(self._lock)

    async def load(self) -> Snapshot:
        """What is unsettled."""
        return await self._read(reads.load)

    async def find_jobs(self, wanted: str, namespace: str) -> list[JobRecord]:
        """Latest versions by name, else by id, else by prefix of the id."""
        return await self._read(reads.find_jobs, wanted, namespace)

    async def job(self, job_id: JobId, version: int = 0) -> JobRecord | None:
        """A version of a job; 0 = the latest."""
        return await self._read(reads.job, job_id, version)

    async def versions(self, job_id: JobId) -> list[JobRecord]:
        """All versions, ascending."""
        return await self._read(reads.versions, job_id)

    async def jobs(self, query: JobQuery) -> tuple[list[JobRecord], bool]:
        """A page of jobs, and whether there are more."""
        return await self._read(reads.jobs, query)

    async def partitions(self, job_id: JobId, version: int) -> list[PartitionRecord]:
        """All touched partitions of a version, ascending."""
        return await self._read(reads.partitions, job_id, version)

    async def tallies(self, job_id: JobId, version: int) -> list[Tally]:
        """The touched partitions of a version, counted by state."""
        return await self._read(reads.tallies, job_id, version)

    async def next_seq(self, job_id: JobId) -> int:
        """Number of the job's next line of history."""
        return await self._read(reads.next_seq, job_id)

    async def execution(self, execution_id: ExecutionId) -> ExecutionRecord | None:
        """One execution, by its full id."""
        found = await self._read(reads.executions_by_id, [execution_id])
        return found[0] if found else None

    async def executions(self, query: ExecutionQuery) -> list[ExecutionRecord]:
        """Executions of a job."""
        return await self._read(reads.executions, query)

    async def execution_ids(self, query: ExecutionQuery) -> list[ExecutionId]:
        """Ids of what `executions` would give, in that order."""
        return await self._read(reads.execution_ids, query)

    async def executions_by_id(self, ids: Sequence[ExecutionId]) -> list[ExecutionRecord]:
        """Those of `ids` that exist."""
        return await self._read(reads.executions_by_id, ids)

    async def last_executions(self, job_id: JobId, version: int, indices: Sequence[int]) -> list[ExecutionRecord]:
        """The latest execution of each of these partitions, ascending by index."""
        return await self._read(reads.last_executions, job_id, version, indices)

    async def last_failures(self, job_id: JobId, version: int) -> list[ExecutionRecord]:
        """Of each partition that has any: its latest failed execution. Ascending by index."""
        return await self._read(reads.last_failures, job_id, version)

    async def glances(
        self, job_id: JobId, version: int, indices: Sequence[int] | None = None, *, is_failed: bool = False
    ) -> list[Glance]:
        """The latest execution, or the latest failed one, of each partition or of each of `indices`."""
        return await self._read(reads.glances, job_id, version, indices, is_failed)

    async def events(self, query: EventQuery) -> list[Happening]:
        """Lines of history of everything, or of some namespaces."""
        return await self._read(reads.events, query)

    async def history(self, query: HistoryQuery) -> tuple[list[Happening], bool]:
        """A page of history, and whether there are more lines of the job after it."""
        return await self._read(reads.history, query)

    async def tails(self, execution_id: ExecutionId) -> list[TailRecord]:
        """The log tails that came with an execution's end."""
        return await self._read(reads.tails, execution_id)

    async def inputs(self, ids: Sequence[ExecutionId]) -> list[InputsRecord]:
        """What these executions had as inputs."""
        return await self._read(reads.inputs, ids)

    async def answer(self, token: str) -> AnswerRecord | None:
        """The kept answer to a request with this token, unless it is older than 24 hours."""
        return await self._read(reads.answer, token, self._now - ANSWERS_KEPT)

    async def _read(self, query: Callable[..., Found], *arguments: Any) -> Found:
        return await self._run(self._readers, self._query, query, *arguments)

    def _query(self, query: Callable[..., Found], *arguments: Any) -> Found:
        """One transaction a read, so that all it selects is of the same commit."""
        with self._told("cannot be read"):
            connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = connect(self._path, is_reader=True)
                self._local.connection = connection
                self._reading.append(connection)
            connection.execute("BEGIN")
            try:
                return query(connection, *arguments)
            finally:
                connection.execute("COMMIT")

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[..., Found], *arguments: Any) -> Found:
        if self._is_closed:
            raise StoreError(str(self._path), "is closed")
        return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(str(self._path), f"{what}: {error}") from error
