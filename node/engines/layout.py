"""How a program is called: what is executed, with which arguments and environment, and where it finds its files."""

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from node.engines.base import EngineError, Launch, Mount
from orchestrator.contract.execution import Cause

WORK = "work"
"""In the work directory: where a program without a sandbox starts, and what it sees as its own."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """One call, ready for `spawn`."""

    program: str
    """Path of what is executed."""
    arguments: list[str]
    """Its argv, the name included."""
    environment: dict[str, str]
    directory: Path
    """Where it starts."""
    status: Path | None = None
    """A file that a sandbox writes the exit code to."""


def bare_layout(launch: Launch, arguments: Sequence[str], environment: Mapping[str, str], directory: str) -> Layout:
    """The call without a sandbox: inputs and results are links below `work` in the work directory, where it starts too.

    Raises EngineError: no such program (127), it cannot be run or `directory` does not exist (126).
    """
    work = launch.directory / WORK
    places = {mount.target: work / mount.target.lstrip("/") for mount in (*launch.inputs, *launch.outputs)}
    for mount in (*launch.inputs, *launch.outputs):
        place = places[mount.target]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(mount.source)
    start = Path(directory) if directory else work
    if directory and (inside := source_of(directory, (*launch.inputs, *launch.outputs))) is not None:
        start = inside
    if directory and not start.is_dir():
        raise EngineError(Cause.EXIT, f"WorkingDirectory {directory}: no such directory", 126)
    environment = {
        "PATH": PATH,
        "HOME": str(work),
        "LANG": "C.UTF-8",
        **environment,
        **shown(launch, lambda mount: str(places[mount.target])),
    }
    program = find_program(arguments[0], environment["PATH"], start, Path)
    return Layout(program=program, arguments=list(arguments), environment=environment, directory=start)


def shown(launch: Launch, place: Callable[[Mount], str]) -> dict[str, str]:
    """`BACALHAU_INPUTS` and `BACALHAU_OUTPUTS`: where the program sees the first of each, without one not set."""
    names = {"BACALHAU_INPUTS": launch.inputs, "BACALHAU_OUTPUTS": launch.outputs}
    return {name: place(mounts[0]) for name, mounts in names.items() if mounts}


def source_of(path: str, mounts: Sequence[Mount]) -> Path | None:
    """The node's path of what a program sees at `path`, if that lies in one of the mounts."""
    for mount in sorted(mounts, key=lambda mount: len(mount.target), reverse=True):
        if PurePosixPath(path).is_relative_to(mount.target):
            return mount.source / PurePosixPath(path).relative_to(mount.target)
    return None


def find_program(name: str, search: str, directory: Path, locate: Callable[[str], Path | None]) -> str:
    """The path that the program will see as `name`, searched in `search` (as PATH) unless it has a slash.

    `locate` tells the node's path of what the program sees, None = it does not see it. Raises EngineError.
    """
    candidates = [str(directory / name)] if "/" in name else [f"{place or '.'}/{name}" for place in search.split(":")]
    problem = EngineError(Cause.EXIT, f"{name}: no such program" + ("" if "/" in name else f" in PATH {search}"), 127)
    for candidate in candidates:
        place = locate(candidate)
        try:
            mode = place.stat().st_mode if place is not None else None
        except OSError:
            mode = None
        if place is None or mode is None:
            continue
        if stat.S_ISREG(mode) and os.access(place, os.X_OK):
            return candidate
        problem = EngineError(Cause.EXIT, f"{name}: {candidate} is not an executable file", 126)
    raise problem
