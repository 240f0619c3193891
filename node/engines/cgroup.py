"""Memory limits kept by the kernel: one memory cgroup an execution, version 1 or 2, where the agent may make one."""

import contextlib
import os
import signal
from pathlib import Path

from node.engines import procfs

ROOT = Path("/sys/fs/cgroup")


def parent(name: str) -> Path | None:
    """The group `name`, below which executions get theirs, made if need be; None where the machine does not allow it."""
    try:
        own = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
        controllers = next((names for names in own if "memory" in names.split(",")), None)
        place = _version_1(own[controllers], name) if controllers is not None else _version_2(own.get("", "/"), name)
        if place is not None:
            place.mkdir(exist_ok=True)
            if controllers is None:
                (place / "cgroup.subtree_control").write_text("+memory")
    except OSError:
        return None
    return place


def _version_1(own: str, name: str) -> Path | None:
    """Below the agent's own group, so that the agent's limits hold too."""
    inside = ROOT / "memory" / own.lstrip("/")
    base = inside if inside.is_dir() else ROOT / "memory"  # in a container the path may be the host's
    return base / name if os.access(base, os.W_OK) else None


def _version_2(own: str, name: str) -> Path | None:
    """Beside the agent's own group: a group with processes may not have groups with controllers."""
    inside = ROOT / own.lstrip("/")
    for base in (inside, *inside.parents):
        control = base / "cgroup.subtree_control"
        if control.is_file() and "memory" in control.read_text().split() and os.access(base, os.W_OK):
            return base / name
    return None


def create(group: Path, limit: int) -> None:
    """Make a group of at most `limit` bytes, swap included. Raises OSError."""
    group.mkdir()
    try:
        if (group / "memory.limit_in_bytes").exists():
            (group / "memory.limit_in_bytes").write_text(str(limit))
            if (group / "memory.memsw.limit_in_bytes").exists():
                (group / "memory.memsw.limit_in_bytes").write_text(str(limit))
        else:
            (group / "memory.max").write_text(str(limit))
            (group / "memory.oom.group").write_text("1")
            if (group / "memory.swap.max").exists():
                (group / "memory.swap.max").write_text("0")
    except OSError:
        group.rmdir()
        raise


def enter(group: Path, pid: int) -> bool:
    """Put a process that was just started, and what it forked meanwhile, into the group; False (and no group) if that fails.

    Blocks for some 10 ms when nothing moved lately: the kernel waits for a grace period.
    """
    todo = [pid]
    try:
        with (group / "cgroup.procs").open("wb", buffering=0) as procs:
            while todo:
                one = todo.pop()
                with contextlib.suppress(ProcessLookupError):
                    procs.write(str(one).encode())
                    todo += procfs.children(one)  # what it forks from now on is born inside
    except OSError:
        with contextlib.suppress(OSError):
            group.rmdir()
        return False
    return True


def members(group: Path) -> set[int]:
    """The living processes of the group."""
    try:
        return {int(pid) for pid in (group / "cgroup.procs").read_text().split() if pid != "0"}
    except OSError:
        return set()


def has_exceeded(group: Path) -> bool:
    """Whether the kernel ended a process because the limit was reached."""
    for name in ("memory.oom_control", "memory.events"):
        with contextlib.suppress(OSError):
            counts = dict(line.split() for line in (group / name).read_text().splitlines())
            return int(counts.get("oom_kill", "0")) > 0
    return False


def remove(group: Path) -> None:
    """End what is left in it, and remove it. Not there: nothing."""
    procfs.send(members(group), signal.SIGKILL)
    with contextlib.suppress(OSError):  # a member that is still going: the next `sweep` gets it
        group.rmdir()


def sweep(place: Path, mark: str) -> None:
    """Remove the groups without processes whose names begin with `mark`: an agent that was killed leaves them."""
    with contextlib.suppress(OSError):
        for group in place.glob(f"{mark}-*"):
            if not members(group):
                with contextlib.suppress(OSError):
                    group.rmdir()
