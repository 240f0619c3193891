"""Runs and what they cost: wall seconds, CPU seconds of everything that took part, and how they compare."""

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one contender."""

    wall: float
    cpu: float
    """Seconds of all its processes, programs included."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """All runs of one contender over `count` partitions."""

    name: str
    count: int
    runs: tuple[Run, ...]

    @property
    def wall(self) -> float:
        """Median, seconds."""
        return statistics.median(run.wall for run in self.runs)

    @property
    def cpu_ms(self) -> float:
        """Median, milliseconds a partition."""
        return 1000 * statistics.median(run.cpu for run in self.runs) / self.count

    def __str__(self) -> str:
        walls = [run.wall for run in self.runs]
        spread = f"({min(walls):.2f} - {max(walls):.2f})"
        rate = self.count / self.wall
        return f"{self.name:<38}{self.count:>7} {self.wall:>8.2f} s {spread:<17}{rate:>8.1f}/s {self.cpu_ms:>8.2f} ms"


def ratio(above: Row, below: Row) -> float:
    """Wall of `above` by that of `below`, a partition: the median over the passes, each taken within one pass."""
    scale = below.count / above.count
    pairs = zip(above.runs, below.runs, strict=True)
    return statistics.median(one.wall / other.wall for one, other in pairs) * scale


def run_program(argv: Sequence[str | Path], stdin: str = "", cwd: Path | None = None) -> Run:
    """Run a program and its children to the end, their output thrown away. Raises CalledProcessError."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(argv, input=stdin, text=True, capture_output=True, check=False, cwd=cwd)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        message = f"{argv[0]} ended with {done.returncode}: {done.stderr.strip()}"
        raise RuntimeError(message)
    return Run(wall=wall, cpu=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def used(pid: int) -> tuple[float, float]:
    """CPU seconds of a process so far: its own, and of the children that it has waited for."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system, times.children_user + times.children_system


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(psutil.Process(pid).memory_info().rss)


def load() -> str:
    """What else the machine does: a ratio is worth more than a rate when this is high."""
    return f"{os.cpu_count()} cores, load {' '.join(f'{one:.1f}' for one in os.getloadavg())}"


def tell(line: str = "") -> None:
    """One line of the result."""
    print(line, flush=True)  # noqa: T201 - this is the output
