"""Jobs of which nothing is assigned and nothing could be: why they wait, and for how long they may.

Backoffs are not queueing: a job that only waits for them is Running.
"""

from collections import Counter

from msgspec.structs import replace

from orchestrator.contract.history import Topic
from orchestrator.contract.ids import JobId, after
from orchestrator.contract.job import JobStateType
from orchestrator.core.cluster import NoRoom, Refusal
from orchestrator.core.deadlines import Deadline, Kind
from orchestrator.core.draft import Draft
from orchestrator.core.model import NEVER, JobRecord
from orchestrator.core.placement import refusal
from orchestrator.core.reconcile.batch import stop_everything

HOPELESS_SECONDS = 30
"""How long a job waits that no connected node could take even if idle, where it names no QueueTimeout."""
NOT_THERE = frozenset({NoRoom.DISCONNECTED, NoRoom.NOT_APPROVED})
"""Reasons of nodes that are not connected to work."""
MOST_TEXTS = 5
"""Different reasons that a message lists."""


def judge_queue(draft: Draft, job_id: JobId) -> None:
    """A job found no room in a pass: put it into Queued if nothing of it is active, and end its waiting when that is over."""
    if draft.active(job_id):
        return
    record = draft.job(job_id)
    is_queued = record.job.state.state_type is JobStateType.QUEUED
    if is_queued and job_id not in draft.touched and not draft.has_node_changes:
        return
    refusals = refusals_of(draft, job_id)
    reasons = reasons_of(refusals)
    if not is_queued:
        draft.set_job(replace(record, queued_since=draft.now))
        record = draft.turn_job(job_id, JobStateType.QUEUED, f"Job queued. {reasons}")
        draft.tell(job_id, Topic.QUEUEING, record.job.state.message)
    elif record.job.state.message != f"Job queued. {reasons}":
        record = draft.turn_job(job_id, JobStateType.QUEUED, f"Job queued. {reasons}")
    record = note_hope(draft, record, refusals)
    limit, since = record.job.task.timeouts.queue_timeout, record.queued_since
    if not limit and record.hopeless_since:
        limit, since = HOPELESS_SECONDS, record.hopeless_since
    if not limit:
        return
    end = after(since, limit)
    if end > draft.now:
        draft.remind(Deadline(end, Kind.JOB, job_id))
        return
    message = f"no node took it for {limit} s. {reasons}"
    draft.tell(job_id, Topic.SCHEDULING, message, {"IsError": "true", "NewState": "Failed"})
    stop_everything(draft, job_id, JobStateType.FAILED, message, "Execution stopped due to job failure")


def note_hope(draft: Draft, record: JobRecord, refusals: dict[str, Refusal | None]) -> JobRecord:
    """Remember since when no connected node could take a job that was never placed, even if it were idle."""
    is_hopeless = not record.was_placed and all(
        why is not None and (why.is_lasting or why.why in NOT_THERE) for why in refusals.values()
    )
    if is_hopeless != bool(record.hopeless_since):
        record = replace(record, hopeless_since=draft.now if is_hopeless else NEVER)
        draft.set_job(record)
    return record


def refusals_of(draft: Draft, job_id: JobId) -> dict[str, Refusal | None]:
    """Why each node does not take the job now; connected ones only, unless there are none."""
    entry = draft.entry(job_id)
    nodes = list(draft.nodes())
    usable = [node for node in nodes if node.is_usable]
    return {node.id: refusal(entry, node, node.free()) for node in usable or nodes}


def reasons_of(refusals: dict[str, Refusal | None]) -> str:
    """The reasons in one sentence, the most frequent first: `each of 3 nodes does not support docker; node n1 is ...`."""
    if not refusals:
        return "no node has joined the cluster"
    texts = Counter(why.text for why in refusals.values() if why)
    parts = [
        f"node {first_of(refusals, text)} {text}" if number == 1 else f"each of {number} nodes {text}"
        for text, number in texts.most_common(MOST_TEXTS)
    ]
    more = len(texts) - MOST_TEXTS
    if more > 0:
        parts.append(f"{more} more reason{'' if more == 1 else 's'}")
    nodes = f"{len(refusals)} node{'' if len(refusals) == 1 else 's'}"
    return f"{'; '.join(parts)} ({nodes} looked at)"


def first_of(refusals: dict[str, Refusal | None], text: str) -> str:
    """The node that gave a reason."""
    return next(node for node, why in refusals.items() if why and why.text == text)
