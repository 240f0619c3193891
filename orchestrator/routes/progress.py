"""How far each job is, counted once for all who look at lists."""

from collections import OrderedDict, deque

from orchestrator.contract.ids import SECOND, JobId, Timestamp
from orchestrator.contract.overview import Progress
from orchestrator.contract.partitions import PartitionState
from orchestrator.core.cluster import JobEntry
from orchestrator.core.model import JobRecord
from orchestrator.reactor import Reactor
from orchestrator.routes.views import summary_of

MOST_KEPT = 5_000
"""Jobs that are not in memory whose counts are kept."""
MINUTE = 60 * SECOND


class Summaries:
    """Counts of jobs. Those of jobs in memory are kept until the job changes, those of ended ones until it is begun anew."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._known: dict[JobId, tuple[int, int, int]] = {}
        """Of jobs in memory: the commit of the last change, attempts and retries then."""
        self._rates: dict[JobId, deque[tuple[Timestamp, int]]] = {}
        """Of jobs that somebody looks at: how many retries there were when, over the last minute."""
        self._ended: OrderedDict[tuple[JobId, int, int], tuple[dict[str, int], Progress]] = OrderedDict()

    async def of(self, record: JobRecord) -> tuple[JobRecord, dict[str, int], Progress]:
        """A job as it is now, its partitions by state, and how far it is."""
        entry = self._reactor.cluster.jobs.get(record.job.id)
        if entry is not None:
            return entry.record, summary_of(entry, self._reactor.cluster.stopping(entry)), self._progress(entry)
        self._known.pop(record.job.id, None)
        self._rates.pop(record.job.id, None)
        key = (record.job.id, record.job.version, record.job.revision)
        if key not in self._ended:
            self._ended[key] = await self._counted(record)
            if len(self._ended) > MOST_KEPT:
                self._ended.popitem(last=False)
        return record, *self._ended[key]

    async def _counted(self, record: JobRecord) -> tuple[dict[str, int], Progress]:
        tallies = await self._reactor.store.tallies(record.job.id, record.job.version)
        counts = dict.fromkeys(PartitionState, 0)
        for tally in tallies:
            counts[tally.state] += tally.partitions
        counts[record.untouched] += record.width - sum(counts.values())
        attempts = sum(tally.attempts for tally in tallies)
        progress = Progress(
            attempts=attempts,
            retries=sum(tally.retries for tally in tallies),
            failed=counts[PartitionState.FAILED],
            share=share_of(counts[PartitionState.COMPLETED], record.width),
        )
        return {state.name.capitalize(): number for state, number in counts.items() if number}, progress

    def _progress(self, entry: JobEntry) -> Progress:
        changed = self._reactor.changes(entry.id).last
        known = self._known.get(entry.id)
        if known is None or known[0] != changed:
            known = self._known[entry.id] = (changed, *entry.attempts_and_retries())
        _, attempts, retries = known
        return Progress(
            attempts=attempts,
            retries=retries,
            retries_per_minute=self._rate(entry.id, retries),
            failed=entry.counts[PartitionState.FAILED],
            share=share_of(entry.counts[PartitionState.COMPLETED], len(entry.states)),
        )

    def _rate(self, job_id: JobId, retries: int) -> float:
        """Retries over the last minute, as far as they were looked at; fewer than before = the job was begun anew."""
        now = self._reactor.clock.now()
        seen = self._rates.setdefault(job_id, deque())
        if seen and seen[-1][1] > retries:
            seen.clear()
        while len(seen) > 1 and now - seen[1][0] >= MINUTE:
            seen.popleft()
        if not seen or now - seen[-1][0] >= SECOND:
            seen.append((now, retries))
        return float(retries - seen[0][1])


def share_of(part: int, whole: int) -> float:
    """A part of a whole, 0 to 1; all of nothing is 1."""
    return round(part / whole, 4) if whole else 1.0
