"""What a grid may carry beside states: when each partition's last execution began and ended, and how it failed.

Memory does not hold these: they are read from the store for those who ask, at once for a grid, by index for a watch.
"""

import asyncio
from array import array
from collections.abc import Sequence

import msgspec

from orchestrator.contract.execution import Cause
from orchestrator.contract.grouping import normalised
from orchestrator.contract.ids import SECOND, Timestamp
from orchestrator.contract.partitions import NO_GROUP, NO_TIME, GroupName
from orchestrator.contract.walk import nearest
from orchestrator.core.cluster import JobEntry
from orchestrator.core.model import NEVER
from orchestrator.errors import InvalidRequestError
from orchestrator.routes.backend import Backend
from orchestrator.routes.packing import little_endian
from orchestrator.selection import SLICE, group_of

GROUPED = 300
"""Failures that are put into groups between two looks at other work."""
NAMES = ("Started", "Finished", "Failure")


class FieldValues(msgspec.Struct, frozen=True, kw_only=True):
    """The packed fields of some partitions; empty = not asked for."""

    started: bytes = b""
    finished: bytes = b""
    failure: bytes = b""
    groups: tuple[GroupName, ...] = ()
    """Those that were not told before."""


class Fields:
    """Fields of one job for one client, who knows the failure groups that it was told."""

    def __init__(self, backend: Backend, entry: JobEntry, names: frozenset[str]) -> None:
        self._store = backend.reactor.store
        self._entry = entry
        self._names = names
        self._groups: dict[str, int] = {}

    async def of(self, indices: Sequence[int] | None = None) -> FieldValues:
        """The fields of these partitions, in their order; None = of all."""
        width = len(self._entry.states) if indices is None else len(indices)
        places = None if indices is None else {index: at for at, index in enumerate(indices)}
        started, finished = array("I", [NO_TIME]) * width, array("I", [NO_TIME]) * width
        failure = array("H", [NO_GROUP]) * width
        added: list[GroupName] = []
        job = self._entry.record.job
        if self._names & {"Started", "Finished"}:
            for number, glance in enumerate(await self._store.glances(job.id, job.version, indices)):
                at = glance.index if places is None else places[glance.index]
                if at < width:
                    started[at] = seconds_from(job.create_time, glance.started)
                    finished[at] = seconds_from(job.create_time, glance.finished)
                if number % SLICE == SLICE - 1:
                    await asyncio.sleep(0)
        if "Failure" in self._names:
            for number, glance in enumerate(await self._store.glances(job.id, job.version, indices, is_failed=True)):
                at = glance.index if places is None else places[glance.index]
                if at < width:
                    failure[at] = self._place(group_of(glance), glance.cause, glance.exit_code, glance.message, added)
                if number % GROUPED == GROUPED - 1:
                    await asyncio.sleep(0)
        return FieldValues(
            started=little_endian(started) if "Started" in self._names else b"",
            finished=little_endian(finished) if "Finished" in self._names else b"",
            failure=little_endian(failure) if "Failure" in self._names else b"",
            groups=tuple(added),
        )

    def _place(
        self, group: str, cause: Cause | None, exit_code: int | None, message: str, added: list[GroupName]
    ) -> int:
        """The number of a group, given now if it has none."""
        place = self._groups.get(group)
        if place is None and len(self._groups) < NO_GROUP:
            place = self._groups[group] = len(self._groups)
            text = normalised(message)
            added.append(GroupName(group=group, cause=cause or Cause.AGENT, exit_code=exit_code, message=text))
        return NO_GROUP if place is None else place


def seconds_from(origin: Timestamp, moment: Timestamp) -> int:
    """Whole seconds from a job's start; NO_TIME = not yet."""
    return NO_TIME if moment == NEVER else min(max(0, moment - origin) // SECOND, NO_TIME - 1)


def parse_fields(text: str) -> frozenset[str]:
    """The names in `fields=`. Raises InvalidRequestError."""
    known = {name.lower(): name for name in NAMES}
    wanted = [word.strip() for word in text.split(",") if word.strip()]
    for word in wanted:
        if word.lower() not in known:
            message = f"fields: found {word[:60]!r}, allowed: {', '.join(NAMES)}"
            raise InvalidRequestError(message, hint=nearest(word, NAMES))
    return frozenset(known[word.lower()] for word in wanted)
