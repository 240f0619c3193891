"""What of the real agent and orchestrator is replaced for a simulation: their clocks, their logs, the files of a node."""

import asyncio
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import node.agent
import node.capacity
import node.cleaning
import node.fence
import node.runner
import node.session
import node.watch
import orchestrator.reactor
from orchestrator.contract.agent import LogTail

START = 1_800_000_000_000_000_000
"""Nanoseconds: the wall time when a history begins."""


class NoLock:
    """The lock of an output that nobody ships."""

    def locked(self) -> bool:
        """Never."""
        return False


class NoStream:
    """A stream without a byte."""

    def head(self) -> tuple[str, bool]:
        """Nothing."""
        return "", False

    def last_line(self) -> str:
        """Nothing."""
        return ""


class NoOutput:
    """The output of programs that write nothing, in place of files."""

    streams = ()
    has_rest = False
    is_truncated = False
    shipping = NoLock()
    retry_at = 0.0
    out = err = NoStream()

    @classmethod
    def at(cls, stdout: Path, stderr: Path) -> "NoOutput":
        """One for all."""
        del stdout, stderr
        return NOTHING

    def look(self, at: float) -> None:
        """It is as long as before."""

    def tails(self) -> tuple[LogTail, ...]:
        """None."""
        return ()


NOTHING = NoOutput()


class Watchdog:
    """In place of a module's log: what is logged as an exception is a defect of the real code."""

    def __init__(self, problems: list[str]) -> None:
        self._problems = problems

    def exception(self, event: str, **fields: Any) -> None:
        """Remember it with the exception that is being handled."""
        if not isinstance(sys.exc_info()[1], OSError):  # a full disk is no defect
            self._problems.append(f"{event} {fields}\n{traceback.format_exc()}")

    def info(self, event: str, **fields: Any) -> None:
        """Nobody reads it."""

    debug = warning = error = info


class Clocks:
    """In place of `time` where the orchestrator's clock reads it."""

    CLOCK_BOOTTIME = time.CLOCK_BOOTTIME

    def __init__(self, world: Any) -> None:
        self._world = world

    def time_ns(self) -> int:
        """Wall time, with every step that somebody gave it."""
        return START + int((self._world.time.now + self._world.wall_step) * 1e9)

    def clock_gettime_ns(self, _: int) -> int:
        """Time since the machine was started."""
        return int((1e6 + self._world.time.now) * 1e9)


def machine_of_caller() -> Any:
    """The machine whose agent is running just now."""
    return asyncio.get_running_loop().machine  # type: ignore[attr-defined] # agents' processes have one


@contextmanager
def replaced(world: Any) -> Iterator[None]:
    """Let the real code see the world's time, files and chance; everything is as before afterwards."""
    timeline = world.time

    def boot_seconds() -> float:
        return float(timeline.now)

    def boot_id() -> str:
        return str(machine_of_caller().boot)

    watchdog = Watchdog(timeline.problems)
    changes: list[tuple[Any, str, Any]] = [
        (node.agent, "boot_seconds", boot_seconds), (node.agent, "boot_id", boot_id), (node.agent, "log", watchdog),
        (node.capacity, "own_version", lambda: "0"), (node.cleaning, "log", watchdog),
        (node.fence, "boot_seconds", boot_seconds), (node.fence, "log", watchdog),
        (node.runner, "boot_seconds", boot_seconds), (node.runner, "boot_id", boot_id), (node.runner, "log", watchdog),
        (node.runner, "Output", NoOutput),
        (node.revive, "Output", NoOutput),
        (node.session, "boot_seconds", boot_seconds), (node.session, "log", watchdog), (node.session, "random", world.rng),
        (node.watch, "boot_seconds", boot_seconds), (node.watch, "LOOK_SECONDS", 2.0),
        (orchestrator.reactor, "time", Clocks(world)), (orchestrator.reactor, "new_id", world.new_id),
        (orchestrator.reactor, "log", watchdog),
    ]  # fmt: skip
    before = [(module, name, getattr(module, name)) for module, name, _ in changes]
    for module, name, value in changes:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
