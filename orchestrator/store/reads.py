"""The reads of a SQLite store: each one function over a connection whose transaction is open."""

# ruff: noqa: S608 - only names of columns, written here, are put into statements; every value is bound

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from orchestrator.contract.history import Level
from orchestrator.contract.ids import ExecutionId, JobId, Timestamp, short
from orchestrator.core.model import (
    AnswerRecord,
    ExecutionRecord,
    Happening,
    InputsRecord,
    JobRecord,
    PartitionRecord,
    Snapshot,
    TailRecord,
)
from orchestrator.store.base import EventQuery, ExecutionQuery, Glance, HistoryQuery, JobQuery, Tally
from orchestrator.store.tables import (
    PARTITION_STATES,
    decode_execution,
    decode_glance,
    decode_inputs,
    decode_job,
    decode_node,
    decode_tail,
    read_answer,
    read_happening,
    read_partition,
)

COLUMNS = {"created_at": "created", "modified_at": "modified"}
ABOVE_ALL = "\U0010ffff"
"""Sorts after every text that begins the same."""


def load(connection: sqlite3.Connection) -> Snapshot:
    """What is unsettled: versions that have not ended or have an execution that has not, and what belongs to them.

    Of a job whose older version still has such an execution also the latest version, ended or not: it is the one that counts.
    """
    cluster_id, commit, last_time = connection.execute(
        "SELECT cluster_id, last_commit, last_time FROM cluster"
    ).fetchone()
    wanted = connection.execute(
        "SELECT job_id, version FROM jobs WHERE is_latest = 1 AND is_ended = 0"
        " UNION SELECT job_id, version FROM executions WHERE is_live = 1"
        " UNION SELECT job_id, version FROM jobs WHERE is_latest = 1"
        " AND job_id IN (SELECT job_id FROM executions WHERE is_live = 1)"
    ).fetchall()
    return Snapshot(
        cluster_id=cluster_id,
        commit=commit,
        last_time=last_time,
        jobs=[record for job_id, version in wanted if (record := job(connection, job_id, version))],
        partitions=[record for job_id, version in wanted for record in partitions(connection, job_id, version)],
        executions=_executions(connection, "is_live = 1", ()),
        nodes=[decode_node(row[0]) for row in connection.execute("SELECT record FROM nodes ORDER BY node_id")],
        next_seqs={job_id: next_seq(connection, job_id) for job_id, _ in wanted},
    )


def find_jobs(connection: sqlite3.Connection, wanted: str, namespace: str) -> list[JobRecord]:
    """Latest versions by name, else by id, else by prefix of the id."""
    if not _is_storable(wanted) or not _is_storable(namespace):
        return []
    found = _jobs(connection, "namespace = ? AND name = ? AND is_latest = 1", (namespace or "default", wanted))
    found = found or _jobs(connection, "job_id = ? AND is_latest = 1", (wanted,))
    if not found and short(wanted) == wanted:
        found = _jobs(
            connection,
            "job_id >= ? AND job_id < ? AND is_latest = 1 ORDER BY job_id LIMIT 2",
            (wanted, wanted + ABOVE_ALL),
        )
    return found


def job(connection: sqlite3.Connection, job_id: JobId, version: int) -> JobRecord | None:
    """A version of a job; 0 = the latest."""
    if version:
        found = _jobs(connection, "job_id = ? AND version = ?", (job_id, version))
    else:
        found = _jobs(connection, "job_id = ? ORDER BY version DESC LIMIT 1", (job_id,))
    return found[0] if found else None


def versions(connection: sqlite3.Connection, job_id: JobId) -> list[JobRecord]:
    """All versions, ascending."""
    return _jobs(connection, "job_id = ? ORDER BY version", (job_id,))


def jobs(connection: sqlite3.Connection, query: JobQuery) -> tuple[list[JobRecord], bool]:
    """A page of jobs, and whether there are more. What is before it is not decoded, but where labels are looked at."""
    direction = "DESC" if query.is_reversed else "ASC"
    of, wanted = _of_namespaces(query.namespaces)
    following = f"{of} ORDER BY {COLUMNS[query.order_by]} {direction}, job_id {direction}"
    skipped = 0 if query.selector else query.offset
    rows = connection.execute(
        f"SELECT record FROM jobs WHERE is_latest = 1{following} LIMIT -1 OFFSET ?", (*wanted, skipped)
    )
    records: Iterator[JobRecord] = (decode_job(row[0]) for row in rows)
    if query.selector:
        labels = query.selector
        records = islice((record for record in records if labels.matches(record.job.labels)), query.offset, None)
    page = list(islice(records, query.limit or None))
    return page, next(records, None) is not None


def partitions(connection: sqlite3.Connection, job_id: JobId, version: int) -> list[PartitionRecord]:
    """All touched partitions of a version, ascending."""
    rows = connection.execute(
        "SELECT * FROM partitions WHERE job_id = ? AND version = ? ORDER BY idx", (job_id, version)
    )
    return [read_partition(row) for row in rows]


def tallies(connection: sqlite3.Connection, job_id: JobId, version: int) -> list[Tally]:
    """The touched partitions of a version, counted by state."""
    rows = connection.execute(
        "SELECT state, count(*), sum(attempts), sum(max(attempts - unbegun - 1, 0)) FROM partitions"
        " WHERE job_id = ? AND version = ? GROUP BY state ORDER BY state",
        (job_id, version),
    )
    return [
        Tally(state=PARTITION_STATES[state], partitions=number, attempts=attempts, retries=retries)
        for state, number, attempts, retries in rows
    ]


def next_seq(connection: sqlite3.Connection, job_id: JobId) -> int:
    """Number of the job's next line of history."""
    last = connection.execute("SELECT max(seq) FROM history WHERE job_id = ?", (job_id,)).fetchone()[0]
    return int(last or 0) + 1


def executions(connection: sqlite3.Connection, query: ExecutionQuery) -> list[ExecutionRecord]:
    """Executions of a job."""
    return _executions(connection, *_of_query(query))


def execution_ids(connection: sqlite3.Connection, query: ExecutionQuery) -> list[ExecutionId]:
    """Ids of what `executions` would give, in that order."""
    where, arguments = _of_query(query)
    return [row[0] for row in connection.execute(f"SELECT execution_id FROM executions WHERE {where}", arguments)]


def _of_query(query: ExecutionQuery) -> tuple[str, tuple[str | int, ...]]:
    where = "job_id = ?"
    arguments: list[str | int] = [query.job_id]
    if query.version:
        where += " AND version = ?"
        arguments.append(query.version)
    if query.index is not None:
        where += " AND idx = ?"
        arguments.append(query.index)
    direction = "DESC" if query.is_reversed else "ASC"
    order = ", ".join(f"{column} {direction}" for column in (COLUMNS[query.order_by], "idx", "attempt", "version"))
    return f"{where} ORDER BY {order} LIMIT ?", (*arguments, query.limit or -1)


def executions_by_id(connection: sqlite3.Connection, ids: Sequence[ExecutionId]) -> list[ExecutionRecord]:
    """Those of `ids` that exist."""
    known = [execution_id for execution_id in ids if _is_storable(execution_id)]
    return _executions(connection, "execution_id IN (SELECT value FROM json_each(?))", (_as_json(known),))


def last_executions(
    connection: sqlite3.Connection, job_id: JobId, version: int, indices: Sequence[int]
) -> list[ExecutionRecord]:
    """The latest execution of each of these partitions, ascending by index."""
    rows = connection.execute(
        "SELECT (SELECT record FROM executions WHERE job_id = ?1 AND version = ?2 AND idx = wanted.value"
        " ORDER BY attempt DESC LIMIT 1) FROM json_each(?3) AS wanted",
        (job_id, version, _as_json(sorted(set(indices)))),
    )
    return [decode_execution(row[0]) for row in rows if row[0] is not None]


def last_failures(connection: sqlite3.Connection, job_id: JobId, version: int) -> list[ExecutionRecord]:
    """Of each partition that has any: its latest failed execution. Ascending by index."""
    rows = connection.execute(
        "SELECT record, max(attempt) FROM executions WHERE job_id = ? AND version = ? AND is_failed = 1"
        " GROUP BY idx ORDER BY idx",
        (job_id, version),
    )
    return [decode_execution(row[0]) for row in rows]


def glances(
    connection: sqlite3.Connection,
    job_id: JobId,
    version: int,
    indices: Sequence[int] | None,
    is_failed: bool,  # noqa: FBT001 - a read takes its arguments by position
) -> list[Glance]:
    """The latest execution, or the latest failed one, of each partition or of each of `indices`."""
    condition = " AND is_failed = 1" if is_failed else ""
    if indices is None:
        rows = connection.execute(
            f"SELECT record, max(attempt) FROM executions WHERE job_id = ? AND version = ?{condition}"
            " GROUP BY idx ORDER BY idx",
            (job_id, version),
        )
    else:
        rows = connection.execute(
            f"SELECT (SELECT record FROM executions WHERE job_id = ?1 AND version = ?2 AND idx = wanted.value{condition}"
            " ORDER BY attempt DESC LIMIT 1) FROM json_each(?3) AS wanted",
            (job_id, version, _as_json(sorted(set(indices)))),
        )
    return [decode_glance(row[0]) for row in rows if row[0] is not None]


def events(connection: sqlite3.Connection, query: EventQuery) -> list[Happening]:
    """Lines of history of everything, or of some namespaces. Read in the order of time: `+` keeps it off the jobs' own order."""
    of = "+job_id IN (SELECT job_id FROM jobs WHERE is_latest = 1 AND namespace IN (SELECT value FROM json_each(?)))"
    where, wanted = (f" AND {of}", (_as_json(query.namespaces),)) if query.namespaces else ("", ())
    if query.after is None:
        newest = f"SELECT * FROM history WHERE true{where} ORDER BY time DESC, job_id DESC, seq DESC LIMIT ?"
        rows = connection.execute(newest, (*wanted, query.limit)).fetchall()[::-1]
    else:
        following = f"(time, job_id, seq) > (?, ?, ?){where} ORDER BY time, job_id, seq LIMIT ?"
        rows = connection.execute(
            f"SELECT * FROM history WHERE {following}", (*query.after, *wanted, query.limit)
        ).fetchall()
    return [read_happening(row) for row in rows]


def history(connection: sqlite3.Connection, query: HistoryQuery) -> tuple[list[Happening], bool]:
    """A page of history, and whether there are more lines of the job after it."""
    where = "job_id = ? AND seq >= ? AND time >= ?"
    arguments: list[str | int] = [query.job_id, query.first_seq, query.since]
    if query.version:
        where += " AND version = ?"
        arguments.append(query.version)
    if query.level is not None:
        where += " AND is_execution = ?"
        arguments.append(query.level is Level.EXECUTION)
    if query.execution_prefix:
        where += " AND execution_id >= ? AND execution_id < ?"
        arguments += [query.execution_prefix, query.execution_prefix + ABOVE_ALL]
    rows = connection.execute(
        f"SELECT * FROM history WHERE {where} ORDER BY seq LIMIT ?", (*arguments, query.limit or -1)
    )
    page = [read_happening(row) for row in rows]
    is_full = bool(query.limit) and len(page) == query.limit
    return page, is_full and next_seq(connection, query.job_id) > page[-1].seq + 1


def tails(connection: sqlite3.Connection, execution_id: ExecutionId) -> list[TailRecord]:
    """The log tails that came with an execution's end."""
    rows = connection.execute("SELECT record FROM tails WHERE execution_id = ? ORDER BY rowid", (execution_id,))
    return [decode_tail(row[0]) for row in rows]


def inputs(connection: sqlite3.Connection, ids: Sequence[ExecutionId]) -> list[InputsRecord]:
    """What these executions had as inputs."""
    rows = connection.execute(
        "SELECT record FROM inputs WHERE execution_id IN (SELECT value FROM json_each(?))", (_as_json(ids),)
    )
    return [decode_inputs(row[0]) for row in rows]


def answer(connection: sqlite3.Connection, token: str, oldest: Timestamp) -> AnswerRecord | None:
    """The answer kept under this token, unless it is from before `oldest`."""
    row = connection.execute("SELECT * FROM answers WHERE token = ? AND time >= ?", (token, oldest)).fetchone()
    return read_answer(row) if row else None


def _of_namespaces(namespaces: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """`+` keeps them off an index of their own, by which nothing would come in its order."""
    of = " AND +namespace IN (SELECT value FROM json_each(?))"
    return (of, (_as_json(namespaces),)) if namespaces else ("", ())


def _jobs(connection: sqlite3.Connection, where: str, arguments: tuple[str | int, ...]) -> list[JobRecord]:
    return [decode_job(row[0]) for row in connection.execute(f"SELECT record FROM jobs WHERE {where}", arguments)]


def _executions(connection: sqlite3.Connection, where: str, arguments: tuple[str | int, ...]) -> list[ExecutionRecord]:
    rows = connection.execute(f"SELECT record FROM executions WHERE {where}", arguments)
    return [decode_execution(row[0]) for row in rows]


def _as_json(values: Sequence[str] | Sequence[int]) -> str:
    return msgspec.json.encode(values).decode()


def _is_storable(text: str) -> bool:
    """Whether SQLite takes the text: half a surrogate pair, which an address may hold, is none that was ever stored."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
