"""The history of nodes is read off their records; inputs are kept for what ends, and for nothing else."""

from msgspec.structs import replace

from orchestrator.contract.agent import End, InputObject, Inputs, Report, SyncRequest
from orchestrator.contract.execution import ExecutionState
from orchestrator.contract.ids import NodeId, Timestamp
from orchestrator.contract.node import Connection, Membership
from orchestrator.core.byproducts import inputs_of, node_history, told
from orchestrator.core.cluster import Cluster, NodeEntry
from orchestrator.core.commands import Sync, Undrain
from orchestrator.core.model import Changes, Draining, InputsRecord, NodeRecord
from tests.helpers.records import NOW, execution_id, execution_record, node_record

HERE = node_record()
GONE = replace(HERE, connection=Connection.DISCONNECTED, last_error="heartbeat timeout")
DRAINED = replace(HERE, draining=Draining(reason="disk", since=NOW))


def said(old: NodeRecord | None, new: NodeRecord) -> list[str]:
    return [message for message, _ in told(old, new)]


def test_each_change_of_a_node_is_told_once() -> None:
    pending = replace(HERE, membership=Membership.PENDING)
    assert said(None, HERE) == ["Node joined"]
    assert said(None, pending) == ["Node joined, and waits for approval"]
    assert said(pending, HERE) == ["Node approved"]
    assert said(HERE, GONE) == ["Node disconnected: heartbeat timeout"]
    assert said(GONE, HERE) == ["Node connected"]
    assert said(HERE, replace(HERE, session="s2")) == ["Node's agent started anew"]
    assert said(HERE, DRAINED) == ["Node is being drained"]
    assert said(DRAINED, HERE) == ["Node is not drained any more"]
    assert said(DRAINED, replace(DRAINED, last_sync=Timestamp(NOW + 1))) == []
    assert said(HERE, HERE) == []


def test_lines_of_nodes_are_numbered_on_and_name_the_node() -> None:
    cluster = Cluster("c", NodeId("o"), lease=30, fence=600)
    cluster.nodes[HERE.id] = NodeEntry(record=HERE)
    changes = Changes(nodes=[GONE, node_record("n2")], deleted_nodes=[NodeId("n3")])
    lines = node_history(cluster, changes, NOW, 7)
    assert [(line.seq, line.message, line.details["NodeID"]) for line in lines] == [
        (7, "Node disconnected: heartbeat timeout", "n1"),
        (8, "Node joined", "n2"),
        (9, "Node deleted", "n3"),
    ]
    assert {(line.job_id, line.time) for line in lines} == {("", NOW)}


def test_inputs_are_kept_of_executions_that_end_with_this_commit() -> None:
    inputs = Inputs(objects=(InputObject(name="/in/a", size=1),))
    reports = tuple(
        Report(execution_id=execution_id(number), state=ExecutionState.COMPLETED, end=End(inputs=given))
        for number, given in ((1, inputs), (2, inputs), (3, None))
    )
    sync = Sync(node_id=NodeId("n1"), request=SyncRequest(session="s1", seq=1, reports=reports))
    ended = [execution_record(number, state=ExecutionState.COMPLETED) for number in (1, 3)]
    changes = Changes(executions=[*ended, execution_record(2)])
    kept = [InputsRecord(execution_id=execution_id(1), inputs=inputs)]
    assert inputs_of([Undrain(node_id=NodeId("n1")), sync], changes) == kept
    assert inputs_of([sync], Changes()) == []
