"""What a program gets from its start, whatever the agent itself has."""

import errno
import os
import signal
from pathlib import Path

import pytest

from node.engines.spawn import spawn


def output(directory: Path, script: str, *, keep: int | None = None) -> str:
    """What a script prints, and a check that it ended well."""
    out = directory / "out"
    out.unlink(missing_ok=True)
    pid = spawn("/bin/sh", ["sh", "-c", script], {}, directory=directory, stdout=out, stderr=out, keep=keep)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return out.read_text().replace(str(pid), "PID")


def test_it_leads_a_session_of_its_own(tmp_path: Path) -> None:
    assert output(tmp_path, "read a b c d group session rest < /proc/$$/stat; echo $group $session") == "PID PID\n"


def test_signals_are_neither_ignored_nor_blocked(tmp_path: Path) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:  # no shell: that would clear its mask itself
        out, arguments = tmp_path / "out", ["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"]
        os.waitpid(spawn("/bin/grep", arguments, {}, directory=tmp_path, stdout=out, stderr=out), 0)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN, "Python ignores it, so this shows something"
    blocked, ignored = (int(mask, 16) for mask in out.read_text().split()[1::2])
    assert blocked == 0
    assert not ignored & (1 << (signal.SIGPIPE - 1))


def test_it_starts_in_its_directory_and_the_agent_stays(tmp_path: Path) -> None:
    before = Path.cwd()
    assert output(tmp_path, "pwd") == f"{tmp_path}\n"
    assert Path.cwd() == before


def test_it_reads_nothing_and_inherits_nothing(tmp_path: Path) -> None:
    leak = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leak, True)  # noqa: FBT003 (the signature is theirs)
    try:
        assert output(tmp_path, "cat; ls /proc/$$/fd").split() == ["0", "1", "2"]
    finally:
        os.close(leak)


def test_the_kept_descriptor_is_its_third(tmp_path: Path) -> None:
    kept = os.open(tmp_path / "kept", os.O_WRONLY | os.O_CREAT)
    try:
        output(tmp_path, "echo told >&3", keep=kept)
    finally:
        os.close(kept)
    assert (tmp_path / "kept").read_text() == "told\n"


def test_output_is_appended(tmp_path: Path) -> None:
    for _ in range(2):
        pid = spawn("/bin/echo", ["echo", "x"], {}, directory=tmp_path, stdout=tmp_path / "o", stderr=tmp_path / "e")
        os.waitpid(pid, 0)
    assert (tmp_path / "o").read_text() == "x\nx\n"


@pytest.mark.parametrize(
    ("program", "argument", "error"),
    [("/no/such", "x", errno.ENOENT), ("/etc", "x", errno.EACCES), ("/bin/true", "a\0b", errno.EINVAL)],
)
def test_what_cannot_be_started_raises(tmp_path: Path, program: str, argument: str, error: int) -> None:
    with pytest.raises(OSError) as raised:  # noqa: PT011 (the number is checked)
        spawn(program, [program, argument], {}, directory=tmp_path, stdout=tmp_path / "o", stderr=tmp_path / "e")
    assert raised.value.errno == error
