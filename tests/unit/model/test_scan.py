"""Selections as scans: the same grammar and the same table as on the server."""

from array import array

import pytest

from orchestrator.contract.partitions import NO_NODE
from orchestrator.contract.selection import Fact, Selection
from tests.unit.contract.selection_table import PARTITIONS, SELECTED
from tui.model.scan import Columns, mask_of, scan

NODES = sorted({one.node for one in PARTITIONS if one.node})
COLUMNS = Columns(
    states=bytearray(one.state for one in PARTITIONS),
    attempts=bytearray(one.attempt for one in PARTITIONS),
    nodes=array("H", (NODES.index(one.node) if one.node else NO_NODE for one in PARTITIONS)),
    node_ids=NODES,
    known={
        Fact.DURATION: [one.seconds for one in PARTITIONS],
        Fact.CAUSE: [one.cause for one in PARTITIONS],
        Fact.EXIT: [one.exit_code for one in PARTITIONS],
        Fact.GROUP: [one.group for one in PARTITIONS],
        Fact.MESSAGE: [one.message for one in PARTITIONS],
        Fact.INPUT: [one.inputs for one in PARTITIONS],
    },
)


@pytest.mark.parametrize(("text", "indices"), SELECTED.items())
def test_a_scan_selects_what_the_server_selects(text: str, indices: set[int]) -> None:
    mask = scan(Selection.parse(text), COLUMNS)
    assert {index for index, byte in enumerate(mask) if byte} == indices
    assert set(mask) <= {0, 1}


def test_what_the_columns_do_not_hold_is_named() -> None:
    packed = Columns(states=COLUMNS.states, attempts=COLUMNS.attempts, nodes=COLUMNS.nodes, node_ids=NODES)
    selection = Selection.parse("failed cause:oom")
    with pytest.raises(LookupError, match="cause"):
        scan(selection, packed)


def test_indices_outside_of_the_job_are_left_out() -> None:
    assert mask_of([0, 2, 7, -1], 3) == b"\1\0\1"
