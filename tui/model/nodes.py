"""Nodes as an operator reads them: their state in a word, what they have and what is taken."""

from orchestrator.contract.node import ZERO_TIME, Connection, Membership, NodeState, Resources
from tui.model.cells import code_of_one
from tui.model.moments import seconds_of

STYLES = {
    "Connected": "completed",
    "Draining": "running",
    "Drained": "stopped",
    "Pending": "retrying",
    "Rejected": "stopped",
    "Away": "failed",
}
ORDER = tuple(STYLES)


def state_of(node: NodeState) -> str:
    """One of the words in STYLES."""
    if node.membership is Membership.REJECTED:
        return "Rejected"
    if node.connection is not Connection.CONNECTED:
        return "Away"
    if node.membership is Membership.PENDING:
        return "Pending"
    if node.drain is not None:
        return "Draining" if node.info.compute_node_info.running_executions else "Drained"
    return "Connected"


def until_moved(node: NodeState, now: float) -> float | None:
    """Seconds until what still runs on a node that is being drained is moved; None = nothing will be."""
    due = seconds_of(node.drain.deadline) if node.drain is not None and state_of(node) == "Draining" else None
    return None if due is None else max(0.0, due - now)


def used(node: NodeState) -> Resources:
    """What executions have taken."""
    compute = node.info.compute_node_info
    return compute.max_capacity.minus(compute.available_capacity)


def share(part: float, whole: float) -> float:
    """0 to 1."""
    return min(1.0, part / whole) if whole > 0 else 0.0


def slots(node: NodeState) -> tuple[int, int] | None:
    """Executions that have begun there, and how many like them the node holds; None = none that would tell."""
    running = node.info.compute_node_info.running_executions
    taken, most = used(node), node.info.compute_node_info.max_capacity
    holds = [
        whole * running / part
        for part, whole in ((taken.cpu, most.cpu), (taken.memory, most.memory), (float(taken.gpu), most.gpu))
        if part
    ]
    return (running, max(running, int(min(holds) + 1e-6))) if running and holds else None


def codes(node: NodeState) -> bytes:
    """Cells of the grid for the partitions that are there or were last."""
    return bytes(code_of_one(state, 1) for state in node.work.partitions) if node.work else b""


def heard(node: NodeState, now: float) -> float | None:
    """Seconds since its last heartbeat; None = never."""
    last = node.connection_state.last_heartbeat
    at = None if last == ZERO_TIME else seconds_of(last)
    return None if at is None else max(0.0, now - at)


def blocks(filled: float, width: int) -> str:
    """`▮▮▮▯▯▯`."""
    full = round(filled * width)
    if filled > 0 and not full:
        full = 1
    return "▮" * full + "▯" * (width - full)
