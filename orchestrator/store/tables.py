"""Which row a record becomes, and the statements that write rows: whole batches in few steps.

Each step of a statement gives up the interpreter's lock and has to win it back, so a step a row would make a large
commit slow while the event loop is busy. Statements here take up to 256 rows in one step.
"""

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec

from orchestrator.contract.execution import ExecutionState
from orchestrator.contract.history import Level
from orchestrator.contract.partitions import PartitionState
from orchestrator.core.model import (
    AnswerRecord,
    Changes,
    ExecutionRecord,
    Happening,
    InputsRecord,
    JobRecord,
    NodeRecord,
    PartitionRecord,
    TailRecord,
)
from orchestrator.store.base import Glance

Row = tuple[Any, ...]
"""Values of one row: text, integers, bytes or None."""

encode = msgspec.msgpack.Encoder().encode
decode_job = msgspec.msgpack.Decoder(JobRecord).decode
decode_execution = msgspec.msgpack.Decoder(ExecutionRecord).decode
decode_node = msgspec.msgpack.Decoder(NodeRecord).decode
decode_inputs = msgspec.msgpack.Decoder(InputsRecord).decode
decode_glance = msgspec.msgpack.Decoder(Glance).decode
decode_tail = msgspec.msgpack.Decoder(TailRecord).decode
encode_details = msgspec.json.Encoder().encode
decode_details = msgspec.json.Decoder(dict[str, str]).decode

PARTITION_STATES = {int(state): state for state in PartitionState}
"""Much faster than calling the enum, which counts for 100,000 rows."""


class Table:
    """One table: writes rows, each of which replaces the one of its key. Columns that never change are left alone."""

    def __init__(self, name: str, key: str, changing: str, fixed: str = "") -> None:
        columns = [*key.split(), *fixed.split(), *changing.split()]
        values = f"({', '.join('?' * len(columns))})"
        updates = ", ".join(f"{column} = excluded.{column}" for column in changing.split())
        begin = f"INSERT INTO {name} ({', '.join(columns)}) VALUES "  # noqa: S608 - names of ours
        end = f" ON CONFLICT ({', '.join(key.split())}) DO UPDATE SET {updates}"
        self._statements = [(size, begin + ", ".join([values] * size) + end) for size in (256, 32, 4, 1)]

    def write(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        """Insert or replace `rows`; of two with the same key the later one stays."""
        begin = 0
        for size, statement in self._statements:
            while len(rows) - begin >= size:
                connection.execute(statement, tuple(chain.from_iterable(rows[begin : begin + size])))
                begin += size


JOBS = Table("jobs", "job_id version", "namespace name created modified is_ended is_latest record")
PARTITIONS = Table(
    "partitions", "job_id version idx", "state attempts billed lost retry_due accepted last_node unbegun"
)
EXECUTIONS = Table(
    "executions", "execution_id", "is_live is_failed modified record", fixed="job_id version idx attempt created"
)
HISTORY = Table("history", "job_id seq", "version is_execution execution_id idx topic message time details")
NODES = Table("nodes", "node_id", "record")
TAILS = Table("tails", "execution_id stream", "record")
INPUTS = Table("inputs", "execution_id", "record")
ANSWERS = Table("answers", "token", "body time")


def write(connection: sqlite3.Connection, changes: Changes) -> None:
    """Write all records of `changes` into the transaction that is open."""
    if changes.jobs:
        _write_jobs(connection, changes.jobs)
    PARTITIONS.write(connection, [partition_row(record) for record in changes.partitions])
    EXECUTIONS.write(connection, [_execution_row(record) for record in changes.executions])
    HISTORY.write(connection, [_happening_row(record) for record in changes.happenings])
    NODES.write(connection, [(record.id, encode(record)) for record in changes.nodes])
    if changes.deleted_nodes:
        connection.executemany("DELETE FROM nodes WHERE node_id = ?", [(node_id,) for node_id in changes.deleted_nodes])
    TAILS.write(connection, [(it.execution_id, it.tail.stream.value, encode(it)) for it in changes.tails])
    INPUTS.write(connection, [(it.execution_id, encode(it)) for it in changes.inputs])
    ANSWERS.write(connection, [(answer.token, answer.body, answer.time) for answer in changes.answers])


def _write_jobs(connection: sqlite3.Connection, records: Sequence[JobRecord]) -> None:
    JOBS.write(connection, [_job_row(record) for record in records])
    connection.executemany(
        "UPDATE jobs SET is_latest = 0 WHERE job_id = ?1 AND is_latest = 1"
        " AND version < (SELECT max(version) FROM jobs WHERE job_id = ?1)",
        [(record.job.id,) for record in records],
    )


def _job_row(record: JobRecord) -> Row:
    job = record.job
    is_ended = job.state.state_type.is_terminal
    return (
        job.id, job.version, job.namespace, job.name, job.create_time, job.modify_time, is_ended, 1, encode(record),
    )  # fmt: skip


def _execution_row(record: ExecutionRecord) -> Row:
    state = record.state
    return (
        record.id, record.job_id, record.job_version, record.index, record.attempt, record.created,
        not state.is_terminal, state is ExecutionState.FAILED, record.modified, encode(record),
    )  # fmt: skip


def partition_row(record: PartitionRecord) -> Row:
    """The row of a partition, in the order of the table's columns."""
    return (
        record.job_id, record.job_version, record.index, int(record.state), record.attempts, record.billed,
        record.lost, record.retry_due, record.accepted, record.last_node, record.unbegun,
    )  # fmt: skip


def read_partition(row: Row) -> PartitionRecord:
    """The record of a row that has all columns, in the table's order."""
    job_id, version, index, state, attempts, billed, lost, retry_due, accepted, last_node, unbegun = row
    return PartitionRecord(
        job_id=job_id, job_version=version, index=index, state=PARTITION_STATES[state], attempts=attempts,
        billed=billed, lost=lost, retry_due=retry_due, accepted=accepted, last_node=last_node, unbegun=unbegun,
    )  # fmt: skip


def _happening_row(record: Happening) -> Row:
    return (
        record.job_id, record.seq, record.job_version, record.level is Level.EXECUTION, record.execution_id,
        record.index, record.topic, record.message, record.time,
        encode_details(record.details).decode() if record.details else None,
    )  # fmt: skip


def read_happening(row: Row) -> Happening:
    """The record of a row that has all columns, in the table's order."""
    job_id, seq, version, is_execution, execution_id, index, topic, message, time, details = row
    return Happening(
        job_id=job_id, seq=seq, job_version=version,
        level=Level.EXECUTION if is_execution else Level.JOB if job_id else Level.NODE,
        execution_id=execution_id, index=index, topic=topic, message=message, time=time,
        details=decode_details(details) if details else {},
    )  # fmt: skip


def read_answer(row: Row) -> AnswerRecord:
    """The record of a row that has all columns, in the table's order."""
    token, body, time = row
    return AnswerRecord(token=token, body=body, time=time)
