"""What a store promises. One suite (tests/contract/test_stores.py) holds every implementation to it."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from orchestrator.contract.execution import Cause
from orchestrator.contract.history import Level
from orchestrator.contract.ids import ExecutionId, JobId, Timestamp
from orchestrator.contract.partitions import PartitionState
from orchestrator.contract.selectors import LabelSelector
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


class JobQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs, in which order. Latest versions only."""

    namespaces: tuple[str, ...] = ()
    """Empty = all."""
    selector: LabelSelector | None = None
    order_by: str = "created_at"
    """`created_at` or `modified_at`."""
    is_reversed: bool = False
    limit: int = 0
    """0 = no limit."""
    offset: int = 0


class ExecutionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which executions of a job, in which order."""

    job_id: JobId
    version: int = 0
    """0 = all versions."""
    index: int | None = None
    """Only of this partition."""
    order_by: str = "created_at"
    """`created_at` or `modified_at`; ties by partition, then attempt."""
    is_reversed: bool = False
    limit: int = 0


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines of a job's history; ascending by number."""

    job_id: JobId
    version: int = 0
    """0 = all versions."""
    level: Level | None = None
    execution_prefix: str = ""
    since: Timestamp = Timestamp(0)
    first_seq: int = 0
    """Lines with this number and above."""
    limit: int = 100


class EventQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines of the history of everything; ascending by time, then job, then number."""

    after: tuple[int, str, int] | None = None
    """Time, job and number of the line to go on behind; None = the newest lines."""
    namespaces: tuple[str, ...] = ()
    """Only lines of jobs of these namespaces, and none of nodes; empty = all lines."""
    limit: int = 100


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """What a grid shows of an execution: a small part of its record, which is read much faster."""

    index: int
    attempt: int
    started: Timestamp = NEVER
    finished: Timestamp = NEVER
    cause: Cause | None = None
    exit_code: int | None = None
    message: str = ""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """The touched partitions of a job version in one state."""

    state: PartitionState
    partitions: int
    attempts: int
    """All executions of them."""
    retries: int
    """Those beyond the first that began of each."""


class Store(Protocol):
    """Durable records of one cluster, with one writer.

    `commit` is the only write. Reads see every finished commit, never a part of one. Every method raises StoreError with
    path and reason when the medium fails; a store that raised in `commit` takes no further one.
    """

    async def load(self) -> Snapshot:
        """What is unsettled, in one go. A new store makes itself a cluster id."""

    async def commit(self, changes: Changes, number: int, now: Timestamp) -> None:
        """Write all of `changes` as commit `number`. Durable when it returns. One at a time."""

    async def close(self) -> None:
        """Finish what was begun and give up the lock. Closing twice is fine."""

    async def find_jobs(self, wanted: str, namespace: str) -> list[JobRecord]:
        """Latest versions that a text names.

        By name in `namespace` (empty = `default`), else by full id, else, where the text is no full id, by prefix of the id (at
        most two are returned then, which is enough to know that it is ambiguous).
        """

    async def job(self, job_id: JobId, version: int = 0) -> JobRecord | None:
        """A version of a job; 0 = the latest."""

    async def versions(self, job_id: JobId) -> list[JobRecord]:
        """All versions, ascending."""

    async def jobs(self, query: JobQuery) -> tuple[list[JobRecord], bool]:
        """A page of jobs, and whether there are more."""

    async def partitions(self, job_id: JobId, version: int) -> list[PartitionRecord]:
        """All touched partitions of a version, ascending."""

    async def tallies(self, job_id: JobId, version: int) -> list[Tally]:
        """The touched partitions of a version, counted by state."""

    async def next_seq(self, job_id: JobId) -> int:
        """Number of the job's next line of history."""

    async def execution(self, execution_id: ExecutionId) -> ExecutionRecord | None:
        """One execution, by its full id."""

    async def executions(self, query: ExecutionQuery) -> list[ExecutionRecord]:
        """Executions of a job."""

    async def execution_ids(self, query: ExecutionQuery) -> list[ExecutionId]:
        """Ids of what `executions` would give, in that order: to read very many in pages."""

    async def executions_by_id(self, ids: Sequence[ExecutionId]) -> list[ExecutionRecord]:
        """Those of `ids` that exist, in any order; for pages of rows."""

    async def last_executions(self, job_id: JobId, version: int, indices: Sequence[int]) -> list[ExecutionRecord]:
        """The latest execution of each of these partitions, ascending by index; those without one are left out."""

    async def last_failures(self, job_id: JobId, version: int) -> list[ExecutionRecord]:
        """Of each partition that has any: its latest failed execution. Ascending by index."""

    async def glances(
        self, job_id: JobId, version: int, indices: Sequence[int] | None = None, *, is_failed: bool = False
    ) -> list[Glance]:
        """The latest execution, or the latest failed one, of each partition or of each of `indices`; ascending by index."""

    async def events(self, query: EventQuery) -> list[Happening]:
        """Lines of history of all jobs, or of some namespaces' jobs; of all, with an empty job id, those of nodes, too."""

    async def history(self, query: HistoryQuery) -> tuple[list[Happening], bool]:
        """A page of history, and whether there are more lines of the job after it (of any level or execution)."""

    async def tails(self, execution_id: ExecutionId) -> list[TailRecord]:
        """The log tails that came with an execution's end."""

    async def inputs(self, ids: Sequence[ExecutionId]) -> list[InputsRecord]:
        """What these executions had as inputs; those of which nothing was told are left out."""

    async def answer(self, token: str) -> AnswerRecord | None:
        """The kept answer to a request with this token, unless it is 24 hours older than the last commit."""
