"""A sandbox for host programs: the machine's files read-only, own /tmp, processes and network, inputs and results in place.

bubblewrap leaves the exit code in a file (`--json-status-fd`), so that an agent that was away while the program ended still
learns it. Hence no `--die-with-parent`; all that a program started is in its pid namespace, which ends with its first process.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from node.engines.base import EngineError, Launch
from node.engines.layout import PATH, Layout, find_program, shown, source_of
from orchestrator.contract.execution import Cause

STATUS = "sandbox.json"
TMP = "/tmp"  # noqa: S108 (the sandbox's own, not the machine's)
OWN = ("proc", "dev", "tmp", "run", "lost+found")
"""Top-level directories that are the sandbox's own, or hidden."""
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID")
"""What root may do inside; not mount, not trace, not talk to devices."""
PROBES = 5
"""Tries until bubblewrap is held not to work here."""


class Status(msgspec.Struct, frozen=True, rename="kebab"):
    """What bubblewrap wrote down so far."""

    child_pid: int | None = None
    exit_code: int | None = None
    """None = it runs, or could not be started, or its monitor was killed."""


class Bubblewrap:
    """Builds calls of bubblewrap. `data_directory` (the agent's) is not seen inside."""

    def __init__(self, program: str, data_directory: Path) -> None:
        self._program = program
        self._data_directory = data_directory
        entries = sorted(entry for entry in Path("/").iterdir() if entry.is_dir() and entry.name not in OWN)
        self._exposed = {entry: tuple(_exposed(entry, ())) for entry in entries}
        self._fixed = ["--unshare-pid", "--unshare-ipc", "--json-status-fd", "3", "--unsetenv", "SHOAL_OWNER"]
        if os.geteuid() == 0:
            self._fixed += ["--cap-drop", "ALL"]
            for capability in CAPABILITIES:
                self._fixed += ["--cap-add", f"CAP_{capability}"]

    @classmethod
    def find(cls, data_directory: Path) -> "Bubblewrap | None":
        """The sandbox of this machine; None where bubblewrap is not installed or not allowed to work. Blocks for some 10 ms."""
        program = shutil.which("bwrap")
        if program is None:
            return None
        probe = [
            program,
            "--unshare-pid",
            "--unshare-net",
            "--ro-bind",
            "/",
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "true",
        ]
        # More than once: a container's mount that goes while the sandbox is made spoils a single try.
        works = any(subprocess.run(probe, check=False, capture_output=True).returncode == 0 for _ in range(PROBES))
        return cls(program, data_directory) if works else None

    def layout(
        self, launch: Launch, arguments: Sequence[str], environment: Mapping[str, str], directory: str
    ) -> Layout:
        """The call of a program inside the sandbox. It starts in `directory`, or in its own /tmp.

        Raises EngineError: no such program (127), it cannot be run or `directory` does not exist (126).
        """
        start = directory or TMP
        environment = {
            "PATH": PATH,
            "HOME": TMP,
            "LANG": "C.UTF-8",
            **environment,
            **shown(launch, lambda mount: mount.target),
        }
        place = self._place(start, launch)
        if directory and (place is None or not place.is_dir()):
            raise EngineError(Cause.EXIT, f"WorkingDirectory {directory}: no such directory", 126)
        find_program(arguments[0], environment["PATH"], Path(start), lambda path: self._place(path, launch))
        return Layout(
            program=self._program,
            arguments=["bwrap", *self._options(launch, start), "--", *arguments],
            environment=environment,
            directory=launch.directory,
            status=launch.directory / STATUS,
        )

    def _options(self, launch: Launch, start: str) -> Iterator[str]:
        is_networked = launch.network.type in {"Host", "Full"}
        yield from self._fixed
        if not is_networked:
            yield "--unshare-net"
        mounts = sorted((*launch.inputs, *launch.outputs), key=lambda mount: mount.target)
        yield from ("--tmpfs", "/")
        targets = [Path(mount.target) for mount in mounts]
        for entry, options in self._exposed.items():
            is_touched = any(entry in target.parents for target in targets)
            yield from _exposed(entry, targets) if is_touched else options
        yield from ("--proc", "/proc", "--dev", "/dev", "--tmpfs", TMP)
        if self._data_directory.parts[1:2] not in {(name,) for name in OWN}:
            yield from ("--tmpfs", str(self._data_directory))
        if is_networked:
            yield from _resolver()
        for mount in mounts:
            is_writable = mount.is_writable or mount in launch.outputs
            yield from ("--bind" if is_writable else "--ro-bind", str(mount.source), mount.target)
        yield from ("--remount-ro", "/", "--chdir", start)

    def _place(self, path: str, launch: Launch) -> Path | None:
        """The node's path of what the program sees at `path`; None = it sees nothing there, or what is the sandbox's own."""
        path = os.path.normpath(path)
        inside = source_of(path, (*launch.inputs, *launch.outputs))
        if inside is not None:
            return inside
        is_hidden = Path(path).is_relative_to(self._data_directory) or Path(path).parts[1:2] in {(n,) for n in OWN[2:]}
        return Path(path) if not is_hidden or path == TMP else None


def _resolver() -> Iterator[str]:
    """The machine's name servers, where /etc only links to a file in the hidden /run."""
    target = Path("/etc/resolv.conf").resolve()
    if target.is_relative_to("/run"):
        yield from ("--ro-bind-try", str(target), str(target))


def _exposed(path: Path, targets: Sequence[Path]) -> Iterator[str]:
    """Show a path of the machine read-only. Where a target is to be made below it: entry by entry."""
    is_parted = any(path in target.parents and not target.exists() for target in targets)
    if path.is_symlink():
        yield from ("--symlink", str(path.readlink()), str(path))
    elif is_parted and path.is_dir():
        yield from ("--dir", str(path))
        for entry in sorted(path.iterdir()):
            yield from _exposed(entry, targets)
    else:
        yield from ("--ro-bind-try", str(path), str(path))


def read_status(directory: Path) -> Status:
    """What bubblewrap wrote into the work directory. Nothing yet, or a broken line: what the lines before say."""
    try:
        lines = (directory / STATUS).read_bytes().splitlines()
    except FileNotFoundError:
        return Status()
    told: dict[str, int] = {}
    for line in lines:
        try:
            told |= msgspec.json.decode(line, type=dict[str, int])
        except msgspec.DecodeError:
            break
    return Status(child_pid=told.get("child-pid"), exit_code=told.get("exit-code"))


def last_line(path: Path) -> str:
    """The last line of a file, which is where bubblewrap says what it could not do."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").splitlines()
    return lines[-1] if lines else "bubblewrap did not say why"
