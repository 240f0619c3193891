"""A node's journal in the memory of its machine: what it is told outlives the agent."""

import errno
import os
from typing import TYPE_CHECKING

from node.journal import Ended, Finished, Forgotten, Intended, Line, Past, Started
from orchestrator.contract.ids import ExecutionId
from tests.helpers.simulation.timeline import Process

if TYPE_CHECKING:
    from tests.helpers.simulation.machine import Machine


class SimJournal:
    """`node.journal.Journal` in memory: what it is told outlives the agent, unless the disk is full."""

    def __init__(self, machine: "Machine", process: Process) -> None:
        self._machine = machine
        self._process = process
        self.past = Past()
        for line in machine.journal:
            self.past.tell(line)
        self._known = set(self.past.entries)
        self._behind: list[Line] = []
        """Noted while the disk was full."""

    def append(self, line: Line) -> None:
        """Keep a line. Raises OSError."""
        if self._process.is_dead:
            return
        if self._machine.is_disk_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._machine.journal.extend([*self._behind, line])
        self._behind.clear()
        self._learn(line)

    def catch_up(self) -> None:
        """Keep what the full disk did not take, once it is not."""
        if self._behind and not self._machine.is_disk_full and not self._process.is_dead:
            self._machine.journal.extend(self._behind)
            self._behind.clear()

    def note(self, line: Line) -> None:
        """Keep a line, later if the disk is full."""
        if self._machine.is_disk_full and not self._process.is_dead:
            self._behind.append(line)
            self._learn(line)
        else:
            self.append(line)

    def _learn(self, line: Line) -> None:
        match line:
            case Intended():
                self._known.add(line.assignment.execution_id)
            case Forgotten():
                self._known.discard(line.execution_id)
            case Started() | Finished() | Ended():
                assert line.execution_id in self._known, "an execution is journalled before its intent"
            case _:
                return

    def knows(self, execution_id: ExecutionId) -> bool:
        """Whether its intent is here."""
        return execution_id in self._known
