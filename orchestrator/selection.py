"""A selection to index ranges, from what is in memory and, where it asks for more, from the store.

Also the groups of failures: a selection may name them.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from orchestrator.contract.execution import Cause
from orchestrator.contract.grouping import group_id
from orchestrator.contract.ids import SECOND, ExecutionId, Timestamp
from orchestrator.contract.partitions import NO_NODE, STOPPING, PartitionState
from orchestrator.contract.selection import Fact, Indices, Selection, StateIs
from orchestrator.core.cluster import JobEntry
from orchestrator.core.model import NEVER, ExecutionRecord
from orchestrator.errors import InvalidRequestError
from orchestrator.store.base import Glance, Store

SLICE = 2000
"""Partitions that are looked at between two looks at other work."""
PAGE = 500
"""Partitions whose executions are read from the store at a time."""
OF_LAST = frozenset({Fact.DURATION, Fact.EXIT, Fact.INPUT})
OF_FAILURE = frozenset({Fact.CAUSE, Fact.GROUP, Fact.MESSAGE})


class Known(msgspec.Struct, kw_only=True):
    """What is known of one partition, as `Selection.test` asks for it."""

    index: int
    state: int
    node: str
    attempt: int
    now: Timestamp
    last: ExecutionRecord | None = None
    failure: ExecutionRecord | None = None
    inputs: str = ""
    """Names of the input objects of its last execution, a line each."""

    @property
    def seconds(self) -> float | None:
        """How long its last execution ran, or has been running."""
        if self.last is None or self.last.started == NEVER:
            return None
        end = self.last.finished if self.last.finished != NEVER else self.now
        return (end - self.last.started) / SECOND

    @property
    def cause(self) -> str:
        """Why its last failed execution failed."""
        return str(self.failure.cause or "") if self.failure else ""

    @property
    def exit_code(self) -> int | None:
        """Of its last execution."""
        return self.last.exit_code if self.last else None

    @property
    def group(self) -> str:
        """Id of its failure group."""
        return group_of(self.failure) if self.failure else ""

    @property
    def message(self) -> str:
        """What its last failed execution said."""
        return self.failure.message if self.failure else ""


def parse(text: str) -> Selection:
    """A selection; `all` and empty text take every partition. Raises InvalidRequestError that names the piece."""
    try:
        selection = Selection.parse("" if text.strip().lower() == "all" else text)
    except ValueError as error:
        raise InvalidRequestError(str(error)) from error
    return selection


async def select(
    store: Store, entry: JobEntry, stopping: Iterable[int], selection: Selection, now: Timestamp
) -> list[int]:
    """The partitions of a job that a selection takes, ascending."""
    if not selection.terms:
        return list(range(entry.record.width))
    packed = Selection(terms=tuple(term for term in selection.terms if Selection(terms=(term,)).is_packed))
    halted = frozenset(stopping)
    candidates = likely(entry, packed)
    found: list[int] = []
    for begin in range(0, len(candidates), SLICE):
        page = candidates[begin : begin + SLICE]
        found += [index for index in page if packed.test(known_of(entry, index, halted, now))]
        await asyncio.sleep(0)
    if selection.is_packed:
        return found
    return await _with_executions(store, entry, halted, selection, found, now)


def likely(entry: JobEntry, selection: Selection) -> Sequence[int]:
    """Partitions that a selection may take, without a look at each as a whole: by its indices and states."""
    candidates: Sequence[int] = range(entry.record.width)
    for term in selection.terms:
        match term:
            case Indices():
                parts = zip(term.firsts, term.lasts, strict=True)
                wanted = [index for first, last in parts for index in range(first, min(last + 1, len(entry.states)))]
                candidates = wanted if isinstance(candidates, range) else candidates
            case StateIs(word=word) if word != "stopping":
                state = PartitionState[word.upper()]
                candidates = [index for index in candidates if entry.states[index] == state]
            case _:
                continue
    return candidates


async def _with_executions(
    store: Store,
    entry: JobEntry,
    halted: frozenset[int],
    selection: Selection,
    candidates: Sequence[int],
    now: Timestamp,
) -> list[int]:
    job = entry.record.job
    failures: Mapping[int, ExecutionRecord] = {}
    if selection.needs & OF_FAILURE:
        failures = {record.index: record for record in await store.last_failures(job.id, job.version)}
    found: list[int] = []
    for begin in range(0, len(candidates), PAGE):
        page = candidates[begin : begin + PAGE]
        last: Mapping[int, ExecutionRecord] = {}
        if selection.needs & OF_LAST:
            last = {record.index: record for record in await store.last_executions(job.id, job.version, page)}
        inputs: Mapping[ExecutionId, str] = {}
        if Fact.INPUT in selection.needs:
            inputs = await _names(store, [record.id for record in last.values()])
        for index in page:
            known = known_of(entry, index, halted, now)
            known.last, known.failure = last.get(index), failures.get(index)
            known.inputs = inputs.get(known.last.id, "") if known.last else ""
            if selection.test(known):
                found.append(index)
        await asyncio.sleep(0)
    return found


async def _names(store: Store, ids: Sequence[ExecutionId]) -> dict[ExecutionId, str]:
    """Names of the inputs of executions, a line each."""
    found = await store.inputs(ids)
    return {it.execution_id: "\n".join(one.name for one in it.inputs.objects) for it in found}


def known_of(entry: JobEntry, index: int, stopping: frozenset[int], now: Timestamp) -> Known:
    """What memory knows of a partition."""
    node = entry.nodes[index]
    return Known(
        index=index,
        state=entry.states[index] | (STOPPING if index in stopping else 0),
        node=entry.node_ids[node] if node != NO_NODE else "",
        attempt=entry.attempts[index],
        now=now,
    )


def group_of(failure: ExecutionRecord | Glance) -> str:
    """The id of the group that a failure belongs to: stable over restarts and jobs."""
    return group_id(failure.cause or Cause.AGENT, failure.exit_code, failure.message)
