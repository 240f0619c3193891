"""The SQLite store against what happens to files and processes: kill -9, a second owner, damage, a full disk."""

# ruff: noqa: ASYNC240 - a test waits for its own small files

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.contract.history import Level
from orchestrator.contract.ids import Timestamp
from orchestrator.core.model import Changes
from orchestrator.errors import StoreError
from orchestrator.store import files, reads
from orchestrator.store.base import ExecutionQuery, HistoryQuery, JobQuery
from orchestrator.store.sqlite import SqliteStore
from tests.helpers.records import NOW, execution_id, execution_record, happening, job_id, job_record, partition_record

ROOT = Path(__file__).resolve().parents[2]
WRITER = """
import asyncio, sys
from pathlib import Path
from orchestrator.core.model import Changes
from orchestrator.store.sqlite import SqliteStore
from tests.helpers.records import *

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    number = (await store.load()).commit
    while True:
        number += 1
        numbers = range(number * 10, number * 10 + 10)
        await store.commit(
            Changes(
                jobs=[job_record(revision=number)],
                executions=[execution_record(n, index=n) for n in numbers],
                partitions=[partition_record(n) for n in numbers],
                happenings=[happening(n) for n in numbers],
            ),
            number,
            NOW,
        )
        print(number, flush=True)

asyncio.run(main())
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", script, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)


async def test_kill_loses_nothing_that_was_acknowledged_and_leaves_no_part_of_a_commit(tmp_path: Path) -> None:
    acknowledged = 0
    for round_number in range(4):
        writer = start(WRITER, str(tmp_path))
        assert writer.stdout is not None
        until = acknowledged + 20 * (round_number + 1)
        for line in writer.stdout:
            if int(line) >= until:
                break
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()
        acknowledged = int(rest[-1]) if rest else until

        store = await SqliteStore.open(tmp_path)
        snapshot = await store.load()
        numbers = {n for commit in range(1, snapshot.commit + 1) for n in range(commit * 10, commit * 10 + 10)}
        assert snapshot.commit in (acknowledged, acknowledged + 1)
        assert snapshot.jobs[0].job.revision == snapshot.commit
        assert {record.index for record in snapshot.partitions} == numbers
        assert {record.index for record in await store.executions(ExecutionQuery(job_id=job_id(1)))} == numbers
        lines, _ = await store.history(HistoryQuery(job_id=job_id(1), limit=0))
        assert {line.seq for line in lines} == numbers
        await store.close()
        acknowledged = snapshot.commit


async def test_second_owner_is_refused_with_path_and_holder_and_the_first_goes_on(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    with pytest.raises(StoreError) as refused:
        await SqliteStore.open(tmp_path)
    assert refused.value.path == str(tmp_path / "shoal.lock")
    assert f"process {os.getpid()}" in refused.value.reason
    await store.commit(Changes(jobs=[job_record()]), 1, NOW)
    await store.close()
    store = await SqliteStore.open(tmp_path)
    assert len((await store.load()).jobs) == 1
    await store.close()


async def test_directories_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "a" / "b")
    for made in (tmp_path / "a", tmp_path / "a" / "b"):
        assert made.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "b" / "shoal.db").stat().st_mode & 0o777 == 0o600
    await store.close()


@pytest.fixture
async def filled(tmp_path: Path) -> Path:
    store = await SqliteStore.open(tmp_path)
    await store.commit(Changes(partitions=[partition_record(n) for n in range(2_000)]), 1, NOW)
    await store.close()
    return tmp_path / "shoal.db"


async def refusal(database: Path) -> str:
    """Why the store is refused; checks that opening it changed nothing and gave up the lock."""
    before = database.read_bytes()
    with pytest.raises(StoreError) as refused:
        await SqliteStore.open(database.parent)
    assert database.read_bytes() == before
    assert refused.value.path == str(database)
    os.close(files.lock(database.parent))
    return refused.value.reason


@pytest.mark.parametrize("kept", [0, 50, 4096, 40_000, -4096, -1])
async def test_truncated_file_is_refused(filled: Path, kept: int) -> None:
    os.truncate(filled, kept if kept >= 0 else filled.stat().st_size + kept)
    assert "cut off" in await refusal(filled)


async def test_foreign_file_is_refused(filled: Path) -> None:
    filled.write_text("Dear diary, today I wrote no database.\n" * 300)
    assert "not a database of Shoal" in await refusal(filled)


async def test_database_of_another_program_is_refused(filled: Path) -> None:
    filled.unlink()
    other = sqlite3.connect(filled)
    other.execute("CREATE TABLE letters (text)")
    other.close()
    assert "another program" in await refusal(filled)


async def test_newer_tables_are_refused(filled: Path) -> None:
    newer = sqlite3.connect(filled)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    assert "version 99" in await refusal(filled)


async def test_damaged_pages_are_an_error_with_path_and_reason(filled: Path) -> None:
    with filled.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (filled.stat().st_size - 4096))
    with pytest.raises(StoreError, match=r"shoal\.db: .*malformed"):
        await SqliteStore.open(filled.parent)


async def test_missing_database_beside_its_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shoal.db-wal").write_bytes(b"committed work")
    with pytest.raises(StoreError, match="is missing"):
        await SqliteStore.open(tmp_path)
    assert not (tmp_path / "shoal.db").exists()


async def test_half_made_database_of_a_killed_first_start_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "shoal.db.new").write_bytes(b"half")
    store = await SqliteStore.open(tmp_path)
    assert (await store.load()).commit == 0
    await store.close()
    assert not (tmp_path / "shoal.db.new").exists()


async def test_older_tables_are_brought_up_to_date_and_keep_their_rows(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = [*files.migrations(), "ALTER TABLE nodes ADD COLUMN note TEXT;"]
    monkeypatch.setattr(files, "migrations", lambda: scripts)
    store = await SqliteStore.open(filled.parent)
    assert len(await store.partitions(job_id(1), 1)) == 2_000
    await store.close()
    connection = sqlite3.connect(filled)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(scripts),)
    assert "note" in [row[1] for row in connection.execute("PRAGMA table_info (nodes)")]
    connection.close()


async def test_failing_migration_leaves_everything_as_it_was(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [*files.migrations(), "ALTER TABLE nodes ADD COLUMN note TEXT; CREATE TABLE nodes (x);"]
    with monkeypatch.context() as patch:
        patch.setattr(files, "migrations", lambda: broken)
        with pytest.raises(StoreError, match="already exists"):
            await SqliteStore.open(filled.parent)
    store = await SqliteStore.open(filled.parent)
    assert len(await store.partitions(job_id(1), 1)) == 2_000
    await store.close()


async def test_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        await SqliteStore.open(tmp_path / "file" / "data")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mount.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mount.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


async def test_full_disk_fails_the_commit_with_path_and_reason_and_every_later_one(small_disk: Path) -> None:
    store = await SqliteStore.open(small_disk)
    number = 1

    async def fill() -> None:
        nonlocal number
        while number < 1_000:
            records = [happening(n, message="x" * 1_000) for n in range(number * 100, number * 100 + 100)]
            await store.commit(Changes(happenings=records), number, NOW)
            number += 1

    with pytest.raises(StoreError) as failed:
        await fill()
    assert failed.value.path == str(small_disk / "shoal.db")
    assert "full" in failed.value.reason
    with pytest.raises(StoreError, match="full"):
        await store.commit(Changes(), number + 1, NOW)
    assert (await store.load()).commit == number - 1
    await store.close()


async def test_closed_store_says_so(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    await store.close()
    with pytest.raises(StoreError, match="is closed"):
        await store.commit(Changes(executions=[execution_record()]), 1, NOW)
    with pytest.raises(StoreError, match="is closed"):
        await store.load()


async def test_reads_go_by_an_index_and_never_through_a_whole_table(filled: Path) -> None:
    connection = files.connect(filled, is_reader=True)
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    job, ids, answers = job_id(1), [execution_id(1)], Timestamp(0)
    reads.load(connection)
    reads.find_jobs(connection, "j-0", "")
    reads.job(connection, job, 0)
    reads.jobs(connection, JobQuery(limit=10))
    reads.jobs(connection, JobQuery(order_by="modified_at", is_reversed=True))
    reads.jobs(connection, JobQuery(namespaces=("a", "b"), limit=10, offset=5))
    reads.partitions(connection, job, 1)
    reads.next_seq(connection, job)
    reads.executions(connection, ExecutionQuery(job_id=job, version=1, index=3))
    reads.executions(connection, ExecutionQuery(job_id=job))
    reads.executions_by_id(connection, ids)
    reads.last_executions(connection, job, 1, [1, 2])
    reads.last_failures(connection, job, 1)
    reads.history(connection, HistoryQuery(job_id=job, level=Level.JOB, execution_prefix="e-"))
    reads.tails(connection, execution_id(1))
    reads.answer(connection, "t", answers)
    connection.set_trace_callback(None)
    small = ("SCAN cluster", "SCAN nodes", "SCAN json_each", "SCAN wanted", "SCAN CONSTANT")
    for statement in statements:
        for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}"):
            is_scan = step.startswith("SCAN") and not step.startswith(small) and "USING" not in step
            is_sort = "TEMP B-TREE" in step and " FROM jobs WHERE " in statement and "UNION" not in statement
            assert not is_scan, f"{step}: {statement}"
            assert not is_sort, f"{step}: {statement}"
    assert len(statements) > 18
    connection.close()
