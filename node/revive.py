"""What a journal says, as executions that this agent has: the first step of taking up another agent's work."""

from collections.abc import Iterator

from node.held import Held, Phase
from node.journal import Entry, Past
from node.streams import Output


def revive(past: Past, boot: str, now: float) -> Iterator[Held]:
    """Everything in the journal, in its last known state. Times of another boot than `boot` count from `now`."""
    for entry in past.entries.values():
        assignment = entry.intended.assignment
        job = past.jobs.get((assignment.job_id, assignment.job_version))
        if job is None:
            continue
        held = Held(assignment=assignment, job=job, need=entry.intended.launch.need, launch=entry.intended.launch)
        _tell(held, entry, boot, now)
        yield held


def _tell(held: Held, entry: Entry, boot: str, now: float) -> None:
    held.phase = Phase.PREPARING
    if entry.started is not None:
        held.phase = Phase.RUNNING
        held.handle = entry.started.handle
        held.started = entry.started.at if entry.started.boot == boot else now
        held.output = Output.at(entry.intended.launch.stdout, entry.intended.launch.stderr)
    if entry.finished is not None:
        held.phase = Phase.PUBLISHING
        held.outcome = entry.finished.outcome
        held.run_seconds = entry.finished.run_seconds
    if entry.ended is not None:
        held.phase = Phase.ENDED
        held.state = entry.ended.state
        held.end = entry.ended.end
        held.ended = entry.ended.at if entry.ended.boot == boot else now
