"""What a commit keeps beside what was decided: the history of nodes, read off their records, and inputs of executions."""

from collections.abc import Iterable, Iterator

from orchestrator.contract.history import Level, Topic
from orchestrator.contract.ids import JobId, NodeId, Timestamp
from orchestrator.contract.node import Connection, Membership
from orchestrator.core.cluster import Cluster
from orchestrator.core.commands import Decision, Sync
from orchestrator.core.model import Changes, Happening, InputsRecord, NodeRecord

NODES = JobId("")
"""Whose history the lines of nodes are: no job's."""


def inputs_of(commands: Iterable[Decision], changes: Changes) -> list[InputsRecord]:
    """What nodes told of the inputs of executions that end with this commit."""
    ended = {execution.id for execution in changes.executions if execution.state.is_terminal}
    if not ended:
        return []
    return [
        InputsRecord(execution_id=report.execution_id, inputs=report.end.inputs)
        for command in commands
        if isinstance(command, Sync)
        for report in command.request.reports
        if report.end is not None and report.end.inputs is not None and report.execution_id in ended
    ]


def node_history(cluster: Cluster, changes: Changes, now: Timestamp, first_seq: int) -> list[Happening]:
    """Lines about the nodes that this commit changes; `cluster` is as it was before."""
    lines: list[tuple[NodeId, str, dict[str, str]]] = []
    for record in changes.nodes:
        known = cluster.nodes.get(record.id)
        lines += [(record.id, message, details) for message, details in told(known.record if known else None, record)]
    lines += [(node_id, "Node deleted", {}) for node_id in changes.deleted_nodes]
    return [
        Happening(
            job_id=NODES,
            seq=first_seq + at,
            job_version=0,
            level=Level.NODE,
            topic=Topic.NODE,
            message=message,
            time=now,
            details={"NodeID": node_id, **details},
        )
        for at, (node_id, message, details) in enumerate(lines)
    ]


def told(old: NodeRecord | None, new: NodeRecord) -> Iterator[tuple[str, dict[str, str]]]:
    """What is said about the change of a node's record: message and details."""
    if old is None:
        is_waiting = new.membership is Membership.PENDING
        yield "Node joined, and waits for approval" if is_waiting else "Node joined", {}
    elif old.membership is not new.membership:
        yield f"Node {new.membership.lower()}", {}
    if new.connection is Connection.CONNECTED:
        if old is not None and old.connection is not Connection.CONNECTED:
            yield "Node connected", {}
        elif old is not None and old.session != new.session:
            yield "Node's agent started anew", {}
    elif old is not None and old.connection is Connection.CONNECTED:
        yield f"Node disconnected: {new.last_error}", {"IsError": "true"}
    before = old.draining if old else None
    if new.draining is not None and new.draining != before:
        yield "Node is being drained", {"Reason": new.draining.reason} if new.draining.reason else {}
    elif new.draining is None and before is not None:
        yield "Node is not drained any more", {}
