"""Nodes come, speak, and fall silent: sessions, leases, and what time brings."""

from collections.abc import Iterable

from msgspec.structs import replace

from orchestrator.contract.agent import SyncRequest
from orchestrator.contract.execution import Cause, DesiredState
from orchestrator.contract.ids import SECOND, NodeId, Timestamp, after
from orchestrator.contract.node import Connection, Membership, NodeInfo, Resources
from orchestrator.core.cluster import NodeEntry
from orchestrator.core.deadlines import Deadline, Kind
from orchestrator.core.draft import Draft
from orchestrator.core.membership import cut_off, end_drain
from orchestrator.core.model import NEVER, NodeRecord
from orchestrator.core.observe import lose, observe
from orchestrator.core.placement import refusal
from orchestrator.core.reconcile.batch import ask_to_stop
from orchestrator.errors import NodeRefusedError, SessionConflictError, WrongClusterError

LATE = 1.0
"""Seconds; a pass that is later than this was not running, and what it missed is not the nodes' fault."""
FORMER = 8
"""Sessions of a node that are remembered after it has another."""
STUCK = 1.0
"""Seconds after which a backlog is looked at: its work may be better placed elsewhere."""


def sync(draft: Draft, node_id: NodeId, request: SyncRequest) -> None:
    """Observe a node: renew its lease, and take in what it says about each execution.

    A repeated or overtaken sync is not observed. Raises SessionConflictError, WrongClusterError, NodeRefusedError.
    """
    cluster = draft.cluster
    if request.cluster_id not in ("", cluster.id):
        raise WrongClusterError(request.cluster_id, cluster.id)
    node = draft.node(node_id)
    if node is None or node.record.session != request.session:
        open_session(draft, node_id, node, request)
    elif request.seq <= node.seq:
        return
    elif node.record.membership is Membership.REJECTED:
        raise NodeRefusedError(node_id, is_known=True)
    node = draft.change_node(node_id)
    node.seq = request.seq
    node.lease_until = draft.later(cluster.lease)
    record = replace(node.record, last_sync=draft.now)
    if record.connection is not Connection.CONNECTED:
        record = replace(record, connection=Connection.CONNECTED, connected_since=draft.now, last_error="")
        draft.set_node_record(record)
        draft.remind(Deadline(node.lease_until, Kind.LEASE, node_id))
        draft.free(node_id)
    if request.info is not None and request.info != record.info:
        record = replace(record, info=request.info)
        draft.set_node_record(record)
        draft.free(node_id)
    node.record = record
    take_usage(draft, node, request)
    observe(draft, node, request)


def open_session(draft: Draft, node_id: NodeId, node: NodeEntry | None, request: SyncRequest) -> None:
    """Let a newly started agent speak for a node, if nobody else does."""
    if node is None:
        if request.info is None:
            raise NodeRefusedError(node_id, is_known=False)
        add_node(draft, node_id, request.session, request.info)
        return
    record = node.record
    if record.membership is Membership.REJECTED:
        raise NodeRefusedError(node_id, is_known=True)
    if request.info is None or request.session in node.former:
        raise SessionConflictError(node_id, record.session)
    is_successor = request.previous == record.session
    is_over = record.connection is not Connection.CONNECTED or node.lease_until <= draft.now
    if not is_successor and not is_over:
        left = (node.lease_until - draft.now) / SECOND
        raise SessionConflictError(node_id, record.session, seconds=left)
    node = draft.change_node(node_id)
    node.turn += 1
    node.former = (*node.former, record.session)[-FORMER:]
    node.silent_stops.clear()
    draft.set_node_record(replace(record, session=request.session, info=request.info))
    draft.free(node_id)


def add_node(draft: Draft, node_id: NodeId, session: str, info: NodeInfo) -> None:
    """A node that was not known."""
    record = NodeRecord(
        id=node_id,
        membership=Membership.PENDING if draft.cluster.approves_by_hand else Membership.APPROVED,
        connection=Connection.DISCONNECTED,
        info=info,
        session=session,
        last_sync=draft.now,
    )
    draft.add_node(NodeEntry(record=record))


def take_usage(draft: Draft, node: NodeEntry, request: SyncRequest) -> None:
    """Take in how much of the node is in use by its own word, and what waits there."""
    before, waited = node.free(), len(node.backlog)
    used = Resources()
    for report in request.reports:
        if report.need is not None:
            used = used.plus(report.need)
    waits = {report.execution_id for report in request.reports if report.is_backlog}
    node.used = used
    node.named = frozenset(report.execution_id for report in request.reports)
    node.backlog = frozenset(waits | (node.backlog & node.live.keys() - node.named))
    if node.backlog and node.backlog_due <= draft.now:
        watch_backlog(draft, node)
    if not before.holds(node.free()) or len(node.backlog) < waited:
        draft.free(node.id)


def watch_backlog(draft: Draft, node: NodeEntry) -> None:
    """Look at a node's backlog in a while; `node` may be changed."""
    node.backlog_due = draft.later(STUCK)
    draft.remind(Deadline(node.backlog_due, Kind.BACKLOG, node.id))


def tick(draft: Draft, due: Iterable[Deadline], late_by: float) -> None:
    """Look at everything that is due."""
    if late_by > LATE:
        for node in list(draft.nodes()):
            if node.record.connection is Connection.CONNECTED:
                draft.change_node(node.id).lease_until = max(node.lease_until, draft.later(draft.cluster.lease))
    for deadline in due:
        match deadline.kind:
            case Kind.LEASE:
                judge_lease(draft, NodeId(deadline.key))
            case Kind.FENCE:
                judge_fence(draft, NodeId(deadline.key))
            case Kind.DRAIN:
                end_drain(draft, NodeId(deadline.key))
            case Kind.BACKLOG:
                withdraw_stuck(draft, NodeId(deadline.key))
            case Kind.BACKOFF | Kind.JOB | Kind.ROOM:
                look_at_job(draft, deadline)


def look_at_job(draft: Draft, deadline: Deadline) -> None:
    """Have a job evaluated, if it is still here."""
    job_id = draft.known_job(deadline.key)
    if job_id is None:
        return
    draft.touch(job_id)
    if deadline.kind is Kind.BACKOFF and deadline.place < draft.job(job_id).width:
        draft.ripen(job_id, deadline.place)


def judge_lease(draft: Draft, node_id: NodeId) -> None:
    """Call a silent node's executions lost; look again later while its lease holds."""
    node = draft.node(node_id)
    if node is None or node.record.connection is not Connection.CONNECTED:
        return
    if node.lease_until > draft.now:
        draft.remind(Deadline(node.lease_until, Kind.LEASE, node_id))
        return
    node = cut_off(draft, node_id, "heartbeat timeout")
    node.turn += 1
    for execution_id in list(node.live):
        execution = draft.live_execution(execution_id)
        if execution.desired is not DesiredState.STOPPED:
            message = "Execution stop requested because node has disappeared"
            lose(draft, execution, Cause.NODE_LOST, message)
    if draft.change_node(node_id).live:
        draft.remind(Deadline(draft.later(draft.cluster.fence), Kind.FENCE, node_id))


def judge_fence(draft: Draft, node_id: NodeId) -> None:
    """End what a node should have stopped: having heard nothing for so long, it has stopped it itself."""
    node = draft.node(node_id)
    if node is None or node.record.connection is Connection.CONNECTED:
        return
    ends: Timestamp = after(node.record.disconnected_since or NEVER, draft.cluster.fence)
    if ends > draft.now:
        draft.remind(Deadline(ends, Kind.FENCE, node_id))
        return
    for execution_id in list(node.live):
        lose(draft, draft.live_execution(execution_id), Cause.NODE_LOST, "its node was lost and has passed its fence")


def withdraw_stuck(draft: Draft, node_id: NodeId) -> None:
    """Take back work that waits on a node while another one could begin it now."""
    node = draft.node(node_id)
    if node is None or not node.backlog or node.record.connection is not Connection.CONNECTED:
        return
    others = [(other, other.free()) for other in draft.nodes() if other.id != node_id and other.is_usable]
    oldest = after(draft.now, -STUCK)
    for execution_id in sorted(node.backlog & node.live.keys()):
        execution = draft.live_execution(execution_id)
        if execution.created > oldest or execution.desired is DesiredState.STOPPED:
            continue
        entry = draft.entry(execution.job_id)
        place = next((at for at, (other, free) in enumerate(others) if refusal(entry, other, free) is None), None)
        if place is None:
            continue
        other, free = others[place]
        others[place] = other, free.minus(entry.need)
        ask_to_stop(draft, execution_id, Cause.WITHDRAWN, f"Execution withdrawn from the backlog of {node_id}")
    watch_backlog(draft, draft.change_node(node_id))
