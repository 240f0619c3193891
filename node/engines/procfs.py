"""What /proc tells about processes, also about those that are not our children."""

import os
import signal
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
"""Clock ticks a second."""
STATE, START_TIME = 0, 19
"""Fields of /proc/<pid>/stat, counted from the one after the program's name. Start time: clock ticks since boot."""


@cache
def boot_id() -> str:
    """The id of this boot of the machine: pids and start times of another boot mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> str | None:
    """When the process began, in clock ticks since boot: with the pid that names it for good. None = no such process."""
    found = _stat(pid)
    return None if found is None else found[START_TIME].decode()


def ticks_now() -> int:
    """The start time that a process gets which begins now."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * TICKS // 1_000_000_000


def is_alive(pid: int) -> bool:
    """Whether it runs: there, and not just waiting for its parent to notice its end."""
    found = _stat(pid)
    return found is not None and found[STATE] not in (b"Z", b"X")


def _stat(pid: int) -> list[bytes] | None:
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.read(descriptor, 4096).rpartition(b")")[2].split()
    except ProcessLookupError:
        return None
    finally:
        os.close(descriptor)


def tree(pid: int) -> set[int]:
    """The process and its descendants, as far as their parents live."""
    found: set[int] = set()
    todo = [pid]
    while todo:
        parent = todo.pop()
        if parent not in found and is_alive(parent):
            found.add(parent)
            todo += children(parent)
    return found


def children(pid: int) -> list[int]:
    """Its children at this moment, of all its threads."""
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    except OSError:
        return found
    return found


def started_with(name: str, value: str | None = None) -> dict[int, dict[str, str]]:
    """The living processes, other than this one, that were started with the environment variable, and their environments.

    `value` None = with any value.
    """
    wanted = os.fsencode(f"\0{name}=" if value is None else f"\0{name}={value}\0")
    found = {}
    own = os.getpid()
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:  # noqa: PTH208 - half the cost
        if pid != own and wanted in (content := _environment(pid)):
            pairs = (line.partition("=") for line in os.fsdecode(content).split("\0"))
            found[pid] = {key: text for key, sign, text in pairs if sign}
    return found


def is_started_with(pid: int, name: str, value: str) -> bool:
    """Whether the process lives and was started with the environment variable."""
    return os.fsencode(f"\0{name}={value}\0") in _environment(pid)


def _environment(pid: int) -> bytes:
    """Its environment at its start, a NUL before and after each variable; empty when it has ended or is not ours to see."""
    try:
        descriptor = os.open(f"/proc/{pid}/environ", os.O_RDONLY)
    except OSError:
        return b""
    pieces = [b"\0"]
    try:
        while piece := os.read(descriptor, 1 << 20):  # one call for all of it, where Python's files take five
            pieces.append(piece)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
    return b"".join(pieces)


def memory(pid: int, limit: int) -> int:
    """Bytes that a process and its descendants hold; what they share counts once if the plain sum is above `limit`."""
    pids = tree(pid)
    plain = sum(_first(f"/proc/{pid}/statm", "", 1) * PAGE for pid in pids)
    return plain if plain <= limit else sum(_first(f"/proc/{pid}/smaps_rollup", "Pss:", 1) * 1024 for pid in pids)


def _first(path: str, start: str, field: int) -> int:
    """A field of the first line that starts so; 0 when the process is gone."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[field]) for line in lines if line.startswith(start)), 0)


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each that is still there and ours to signal."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue
