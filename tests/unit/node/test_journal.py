"""A journal tells the next agent what this one wrote, and stays small."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from node.engines.base import Handle, Launch, Outcome, Owner
from node.held import Phase
from node.journal import (
    COMPACT_BYTES,
    Committed,
    Ended,
    Finished,
    Forgotten,
    Intended,
    Journal,
    Line,
    Opened,
    Past,
    Specified,
    Started,
)
from node.revive import revive
from orchestrator.contract.agent import Assignment, End, LogTail, Stream
from orchestrator.contract.execution import Cause, ExecutionState
from orchestrator.contract.ids import ExecutionId, JobId, NodeId
from orchestrator.contract.job import Job, NetworkConfig, SpecConfig
from orchestrator.contract.node import Resources
from tests.helpers.agents import shell


def intended(execution: str) -> Intended:
    launch = Launch(
        execution_id=ExecutionId(execution),
        owner=Owner(cluster_id="c1", node_id=NodeId("n1")),
        engine=SpecConfig(type="process", params={"Command": "true"}),
        need=Resources(cpu=1),
        network=NetworkConfig(type="None"),
        environment={"A": "ä"},
        inputs=(),
        outputs=(),
        directory=Path("/x"),
        stdout=Path("/x/stdout"),
        stderr=Path("/x/stderr"),
    )
    assignment = Assignment(execution_id=ExecutionId(execution), job_id=JobId("j-1"), job_version=1, index=0, attempt=1)
    return Intended(assignment=assignment, launch=launch)


def started(execution: str, at: float = 5.0, boot: str = "b1") -> Started:
    return Started(execution_id=ExecutionId(execution), handle=Handle(facts={"pid": "1"}), at=at, boot=boot)


def ended(execution: str) -> Ended:
    end = End(exit_code=3, cause=Cause.EXIT, tails=(LogTail(stream=Stream.OUT, offset=0, content=b"\x00\xff"),))
    return Ended(execution_id=ExecutionId(execution), state=ExecutionState.FAILED, end=end, at=9.0, boot="b1")


OPENED = Opened(cluster_id="c1", session="s1", lease_seconds=30, fence_seconds=600)


def test_everything_written_is_told_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    finished = Finished(execution_id=ExecutionId("e-2"), outcome=Outcome(exit_code=0, cause=None), run_seconds=1.5)
    job = shell("true")
    lines = (OPENED, Committed(commit=7), Specified(job=job), intended("e-1"), started("e-1"), intended("e-2"))
    for line in (*lines, started("e-2"), finished, intended("e-3"), started("e-3"), ended("e-3")):
        journal.append(line)
    journal.close()
    past = Journal(path).past
    assert (past.opened, past.commit, past.jobs) == (OPENED, 7, {("j-1", 1): job})
    assert list(past.entries) == ["e-1", "e-2", "e-3"]
    assert past.entries[ExecutionId("e-1")].intended == intended("e-1")
    assert past.entries[ExecutionId("e-2")].finished == finished
    assert past.entries[ExecutionId("e-3")].ended == ended("e-3")


def test_what_is_forgotten_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    for line in (OPENED, Specified(job=shell("true")), intended("e-1"), Forgotten(execution_id=ExecutionId("e-1"))):
        journal.append(line)
    assert not journal.knows(ExecutionId("e-1"))
    journal.close()
    past = Journal(path).past
    assert past.entries == {}
    assert b"job" not in path.read_bytes(), "the spec of a job that nothing runs stayed"


def test_a_line_cut_short_ends_what_is_told_and_the_file_is_good_again(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    for line in (OPENED, Specified(job=shell("true")), intended("e-1")):
        journal.append(line)
    journal.close()
    with path.open("ab") as file:
        file.write(b'{"type":"started","execution_id":"e-1","ha')
    again = Journal(path)
    assert again.past.entries[ExecutionId("e-1")].started is None
    again.append(started("e-1"))
    again.close()
    assert Journal(path).past.entries[ExecutionId("e-1")].started == started("e-1")


def test_a_line_that_the_disk_takes_half_is_not_there_and_the_next_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal")
    journal.append(intended("e-1"))
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, text: write(file, text[: len(text) // 2]))
        with pytest.raises(OSError, match="No space left"):
            journal.append(started("e-1"))
    journal.append(intended("e-2"))
    journal.close()
    told = Journal(tmp_path / "journal")
    assert {name: entry.started for name, entry in told.past.entries.items()} == {"e-1": None, "e-2": None}
    told.close()


def test_a_journal_does_not_grow_with_what_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.append(OPENED)
    journal.append(Specified(job=shell("true")))
    journal.append(intended("e-long"))
    for number in range(3000):
        execution = f"e-{number}"
        for line in (intended(execution), started(execution), Forgotten(execution_id=ExecutionId(execution))):
            journal.append(line)
    assert path.stat().st_size < COMPACT_BYTES + 100_000
    journal.close()
    assert list(Journal(path).past.entries) == ["e-long"]


@pytest.mark.parametrize(("boot", "since"), [("b1", 5.0), ("b2", 100.0)])
def test_times_of_another_boot_count_from_now(tmp_path: Path, boot: str, since: float) -> None:
    journal = Journal(tmp_path / "journal")
    for line in (Specified(job=shell("true")), intended("e-1"), started("e-1")):
        journal.past.tell(line)
    (held,) = revive(journal.past, boot, 100.0)
    assert (held.phase, held.started) == (Phase.RUNNING, since)


def test_each_execution_comes_back_in_its_last_known_phase() -> None:
    journal_lines: dict[Phase, list[Line]] = {
        Phase.PREPARING: [intended("e-1")],
        Phase.RUNNING: [intended("e-1"), started("e-1")],
        Phase.PUBLISHING: [
            intended("e-1"),
            started("e-1"),
            Finished(execution_id=ExecutionId("e-1"), outcome=Outcome(exit_code=0, cause=None), run_seconds=1),
        ],
        Phase.ENDED: [intended("e-1"), started("e-1"), ended("e-1")],
    }
    for phase, lines in journal_lines.items():
        past = Past(jobs={(JobId("j-1"), 1): shell("true")}, entries={})
        for line in lines:
            past.tell(line)
        (held,) = revive(past, "b1", 100.0)
        assert held.phase is phase


@pytest.mark.parametrize("write_later", [Journal.catch_up, lambda journal: journal.append(intended("e-2"))])
def test_a_line_that_can_be_done_without_is_written_when_the_disk_has_room_again(
    write_later: Callable[[Journal], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal")
    journal.append(intended("e-1"))
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        journal.note(started("e-1"))
    write_later(journal)
    journal.close()
    told = Journal(tmp_path / "journal")
    assert told.past.entries[ExecutionId("e-1")].started == started("e-1")
    told.close()


def full(_file: int, _text: bytes) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_job_outlasts_what_was_forgotten_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "journal")
    journal.append(Specified(job=shell("true")))
    journal.append(intended("e-1"))
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        journal.note(Forgotten(execution_id=ExecutionId("e-1")))
    assert_kept(journal, shell("true"), tmp_path)


def test_a_job_outlasts_a_journal_that_its_own_line_makes_long(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    dead = intended("e-1")
    long = msgspec.structs.replace(dead.launch, environment={"A": "a" * (COMPACT_BYTES - 10_000)})
    journal.append(msgspec.structs.replace(dead, launch=long))
    journal.note(Forgotten(execution_id=ExecutionId("e-1")))
    assert_kept(journal, shell("true", env={"A": "a" * 10_000}), tmp_path)


def assert_kept(journal: Journal, job: Job, directory: Path) -> None:
    """What begins now is known to the next agent, with its job."""
    journal.append(Specified(job=job))
    journal.append(intended("e-2"))
    journal.close()
    told = Journal(directory / "journal")
    assert [held.id for held in revive(told.past, "b1", 0.0)] == ["e-2"]
    told.close()
