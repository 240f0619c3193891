"""What operators do to nodes: approve, reject, delete, drain."""

from msgspec.structs import replace

from orchestrator.contract.execution import Cause, DesiredState
from orchestrator.contract.ids import NodeId
from orchestrator.contract.node import Connection, Membership, Resources
from orchestrator.core.cluster import NodeEntry
from orchestrator.core.commands import Acted, Approve, DeleteNode, Drain, Reject, Undrain
from orchestrator.core.deadlines import Deadline, Kind
from orchestrator.core.draft import Draft
from orchestrator.core.model import NEVER, Draining
from orchestrator.core.observe import lose
from orchestrator.core.reconcile.batch import ask_to_stop
from orchestrator.errors import NodeNotFoundError, NodeStateConflictError


def change(draft: Draft, command: Drain | Undrain | Approve | Reject | DeleteNode) -> Acted | None:
    """Carry out what an operator asks of a node. Raises NodeNotFoundError, NodeStateConflictError."""
    match command:
        case Drain():
            return drain(draft, command)
        case Undrain():
            return undrain(draft, command.node_id)
        case Approve():
            approve(draft, command.node_id)
        case Reject():
            reject(draft, command.node_id)
        case DeleteNode():
            delete(draft, command.node_id)
    return None


def approve(draft: Draft, node_id: NodeId) -> None:
    """Let a node take part."""
    record = known(draft, node_id).record
    if record.membership is Membership.APPROVED:
        raise NodeStateConflictError(node_id, "approved")
    draft.set_node_record(replace(record, membership=Membership.APPROVED))
    draft.free(node_id)


def reject(draft: Draft, node_id: NodeId) -> None:
    """Shut a node out: it is told at its next sync, and nothing more is taken from it."""
    record = known(draft, node_id).record
    if record.membership is Membership.REJECTED:
        raise NodeStateConflictError(node_id, "rejected")
    give_up_work(draft, node_id, "Execution stop requested because node has been rejected")
    node = cut_off(draft, node_id, "node rejected")
    draft.set_node_record(replace(node.record, membership=Membership.REJECTED))


def delete(draft: Draft, node_id: NodeId) -> None:
    """Forget a node. Its agent is refused at its next sync; started again, it joins like a new one."""
    known(draft, node_id)
    give_up_work(draft, node_id, "Execution stop requested because node has been deleted")
    draft.delete_node(node_id)


def drain(draft: Draft, command: Drain) -> Acted:
    """Place nothing more on a node. What waits there is taken back at once; what runs finishes, or is moved at the deadline."""
    node = known(draft, command.node_id)
    deadline = NEVER if command.seconds is None else draft.later(command.seconds)
    draining = Draining(reason=command.reason, since=draft.now, deadline=deadline)
    draft.set_node_record(replace(node.record, draining=draining))
    if deadline:
        draft.remind(Deadline(deadline, Kind.DRAIN, node.id))
    for execution_id in sorted(node.backlog & node.live.keys()):
        ask_to_stop(draft, execution_id, Cause.WITHDRAWN, f"Execution withdrawn: node {node.id} is being drained")
    return acted(draft, node.id)


def undrain(draft: Draft, node_id: NodeId) -> Acted:
    """Place on a node again."""
    record = known(draft, node_id).record
    if record.draining is not None:
        draft.set_node_record(replace(record, draining=None))
        draft.free(node_id)
    return acted(draft, node_id)


def end_drain(draft: Draft, node_id: NodeId) -> None:
    """Move what still runs on a node whose drain has come to its deadline."""
    node = draft.node(node_id)
    draining = node.record.draining if node else None
    if node is None or draining is None or not draining.deadline or draining.deadline > draft.now:
        return
    for execution_id in sorted(node.live):
        ask_to_stop(draft, execution_id, Cause.WITHDRAWN, f"Execution moved: node {node_id} is being drained")


def known(draft: Draft, node_id: NodeId) -> NodeEntry:
    """The node, or NodeNotFoundError."""
    node = draft.node(node_id)
    if node is None:
        raise NodeNotFoundError(node_id)
    return node


def cut_off(draft: Draft, node_id: NodeId, why: str) -> NodeEntry:
    """Count a node as disconnected: what it said last means nothing now. Its executions are the caller's to judge."""
    node = draft.change_node(node_id)
    node.used, node.named, node.backlog = Resources(), frozenset(), frozenset()
    draft.set_node_record(
        replace(node.record, connection=Connection.DISCONNECTED, disconnected_since=draft.now, last_error=why)
    )
    return node


def give_up_work(draft: Draft, node_id: NodeId, message: str) -> None:
    """Call everything lost that a node has."""
    for execution_id in sorted(known(draft, node_id).live):
        lose(draft, draft.live_execution(execution_id), Cause.NODE_LOST, message)


def acted(draft: Draft, node_id: NodeId) -> Acted:
    """How much of what should run on a node there still is, by state."""
    by_state: dict[str, int] = {}
    for execution_id in known(draft, node_id).live:
        execution = draft.live_execution(execution_id)
        if execution.desired is not DesiredState.STOPPED:
            word = execution.state.name.lower()
            by_state[word] = by_state.get(word, 0) + 1
    return Acted(count=sum(by_state.values()), by_state=by_state)
