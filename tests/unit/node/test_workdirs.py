"""Work directories: what an execution gets is empty and its own, whoever had the directory before."""

from collections.abc import Callable
from pathlib import Path

import pytest

from node.workdirs import WorkDirectories
from orchestrator.contract.ids import ExecutionId
from orchestrator.contract.job import ResultPath

ONE, TWO = ExecutionId("e-one"), ExecutionId("e-two")


def used(workdirs: WorkDirectories, execution: ExecutionId) -> Path:
    """A work directory as an engine has it once a program ran that printed something and left no file."""
    workdirs.make(execution, ())
    directory = workdirs.of(execution)
    for name, text in (("stdout", b"hello\n"), ("stderr", b""), ("sandbox.json", b'{"exit-code": 0}')):
        path = directory / name
        path.touch(0o600)
        path.write_bytes(text)
    return directory


def test_what_was_left_clean_is_used_again_and_empty(tmp_path: Path) -> None:
    workdirs = WorkDirectories(tmp_path)
    inode = used(workdirs, ONE).stat().st_ino
    assert workdirs.take_back(ONE)
    assert not workdirs.of(ONE).exists()
    workdirs.make(TWO, ())
    assert workdirs.of(TWO).stat().st_ino == inode
    found = {path.name: path.stat().st_size for path in workdirs.of(TWO).iterdir() if path.is_file()}
    assert found == {"stdout": 0, "stderr": 0, "sandbox.json": 0}
    assert not list((workdirs.of(TWO) / "work").iterdir())


def link(directory: Path) -> None:
    """Keep a second name of the log."""
    (directory.parent.parent / "mine").hardlink_to(directory / "stdout")


def turn_into_link(directory: Path) -> None:
    """Have the log lie elsewhere."""
    (directory / "stderr").unlink()
    (directory / "stderr").symlink_to("/etc/hostname")


LEFT: dict[str, Callable[[Path], object]] = {
    "a file": lambda directory: (directory / "work" / "result").write_text("x"),
    "no directory to start in": lambda directory: (directory / "work").rmdir(),
    "a file beside": lambda directory: (directory / "core").write_text("x"),
    "a work directory that is read only": lambda directory: (directory / "work").chmod(0o555),
    "a directory that all may enter": lambda directory: directory.chmod(0o777),
    "a log that others may read": lambda directory: (directory / "stdout").chmod(0o644),
    "a log with a second name": link,
    "a log that is a link": turn_into_link,
    "results": lambda directory: (directory / "outputs" / "0").mkdir(parents=True),
}


@pytest.mark.parametrize("left", LEFT)
def test_where_a_program_left_something_the_directory_is_removed(tmp_path: Path, left: str) -> None:
    workdirs = WorkDirectories(tmp_path)
    LEFT[left](used(workdirs, ONE))
    assert not workdirs.take_back(ONE)
    workdirs.remove([ONE])
    assert not workdirs.of(ONE).exists()
    assert not list((tmp_path / "spare").iterdir())
    workdirs.make(TWO, ())
    assert [path.name for path in workdirs.of(TWO).iterdir()] == ["work"]


def test_it_keeps_so_many_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.workdirs.MOST_SPARE", 2)
    workdirs = WorkDirectories(tmp_path)
    executions = [ExecutionId(f"e-{number}") for number in range(3)]
    for execution in executions:
        workdirs.make(execution, ())
    assert [workdirs.take_back(execution) for execution in executions] == [True, True, False]
    workdirs.remove(executions)
    assert len(list((tmp_path / "spare").iterdir())) == 2
    assert not list((tmp_path / "executions").iterdir())


def test_results_get_empty_places_in_a_used_one_as_in_a_new_one(tmp_path: Path) -> None:
    workdirs = WorkDirectories(tmp_path)
    used(workdirs, ONE)
    assert workdirs.take_back(ONE)
    (mount,) = workdirs.make(TWO, [ResultPath(name="out", path="/outputs")])
    assert mount.source == workdirs.of(TWO) / "outputs" / "0"
    assert not list(mount.source.iterdir())
    assert mount.source.stat().st_mode & 0o777 == 0o777


def test_somebody_who_tidies_up_the_spare_ones_does_no_harm(tmp_path: Path) -> None:
    workdirs = WorkDirectories(tmp_path)
    used(workdirs, ONE)
    assert workdirs.take_back(ONE)
    assert not workdirs.take_back(ExecutionId("e-never-made"))
    for path in (tmp_path / "spare").iterdir():
        path.rename(tmp_path / "taken")
    workdirs.make(TWO, ())
    assert [path.name for path in workdirs.of(TWO).iterdir()] == ["work"]


def test_an_agent_that_starts_keeps_only_what_its_journal_names(tmp_path: Path) -> None:
    before = WorkDirectories(tmp_path)
    used(before, ONE)
    used(before, TWO)
    before.take_back(ONE)
    used(before, ONE)
    after = WorkDirectories(tmp_path)
    after.remove_others({TWO})
    assert [path.name for path in (tmp_path / "executions").iterdir()] == [TWO]
    assert not list((tmp_path / "spare").iterdir())
    assert (after.of(TWO) / "stdout").read_bytes() == b"hello\n"
