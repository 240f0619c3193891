"""The nodes of the cluster: who is there, what is free, what to drain."""

from collections.abc import Mapping, Sequence

from orchestrator.contract.node import NodeState
from tui.bindings import bindings
from tui.messages import OverviewChanged
from tui.model.moments import bytes_text, counted, short_duration
from tui.model.nodes import STYLES, blocks, codes, heard, share, slots, state_of, until_moved, used
from tui.places import Focus
from tui.screens.drain import DrainDialog
from tui.screens.list_page import ListPage
from tui.widgets.lines import Piece
from tui.widgets.table import Cell, Column, Table

BLOCKS = 8
"""Cells of the bar of slots."""


class NodesPage(ListPage[NodeState], inherit_bindings=False):
    """The node under the cursor is what keys act on."""

    BINDINGS = bindings("page", "list", "nodes")
    NOUN = "node"
    EMPTY = "no node has joined"
    ORDERS = ("node", "state", "running", "failed in an hour", "cpu used", "memory used")
    COLUMNS = (
        Column(title="NODE", width=12, flexible=True, order="node"),
        Column(title="STATE", width=15, order="state"),
        Column(title="SLOTS", width=14, drop=2),
        Column(title="CPU used/alloc", width=14, drop=3, order="cpu used"),
        Column(title="MEM", width=4, right=True, order="memory used"),
        Column(title="RUN", width=4, right=True, order="running"),
        Column(title="FAIL/h", width=6, right=True, order="failed in an hour"),
        Column(title="LEASE", width=7, right=True),
        Column(title="PARTITIONS", width=16, drop=1),
        Column(title="DISK FREE", width=9, right=True, drop=5),
        Column(title="ENGINES", width=16, drop=4),
        Column(title="VERSION", width=9, drop=6),
    )

    def crumbs(self) -> Sequence[str]:
        """Nodes."""
        return ("nodes",)

    async def fetch(self) -> list[NodeState] | None:
        """What the cluster's watch tells; nothing is asked."""
        return list(self.shoal.overview.nodes) if self.shoal.overview.is_known else None

    def on_overview_changed(self, _: OverviewChanged) -> None:
        """A node may have changed."""
        self.ask()

    def take(self, rows: list[NodeState]) -> None:
        """With the node that one came from under the cursor."""
        is_first = not self.is_known
        super().take(rows)
        if is_first and self.at.node_id:
            for at, node in enumerate(self.rows):
                if node.info.node_id == self.at.node_id:
                    self.table.point(at)

    def key(self, row: NodeState) -> str:
        """The node's id."""
        return row.info.node_id

    def plain(self, row: NodeState) -> Mapping[str, object]:
        """For saving, filtering and sorting."""
        compute, taken = row.info.compute_node_info, used(row)
        return {
            "node": row.info.node_id,
            "state": state_of(row),
            "running": compute.running_executions,
            "failed in an hour": row.work.failed if row.work else "",
            "waiting there": compute.enqueued_executions,
            "cpu used": taken.cpu,
            "cpu": compute.max_capacity.cpu,
            "memory used": taken.memory,
            "memory": compute.max_capacity.memory,
            "disk free": compute.available_capacity.disk,
            "gpus": compute.max_capacity.gpu,
            "engines": " ".join(compute.execution_engines or ()),
            "labels": " ".join(f"{name}={value}" for name, value in row.info.labels.items()),
            "last heartbeat": row.connection_state.last_heartbeat,
            "last error": row.connection_state.last_error,
            "version": row.info.bacalhau_version.git_version,
            "drain": row.drain.reason or "drained" if row.drain else "",
            "drain deadline": row.drain.deadline if row.drain else "",
        }

    def headline(self) -> list[Piece]:
        """What the cluster has."""
        if not self.is_known:
            return []
        cpu = sum(node.info.compute_node_info.max_capacity.cpu for node in self.all)
        taken = sum(used(node).cpu for node in self.all)
        running = sum(node.info.compute_node_info.running_executions for node in self.all)
        pieces: list[Piece] = [(f" {counted(running, 'execution')} running", "title")]
        pieces.append((f"  {taken:g} of {cpu:g} CPU taken", "muted"))
        return pieces

    def cells(self, row: int) -> Sequence[Cell]:
        """A node."""
        node = self.rows[row]
        compute, taken, state = node.info.compute_node_info, used(node), state_of(node)
        most = compute.max_capacity
        silence = heard(node, self.shoal.wall())
        left = until_moved(node, self.shoal.wall())
        failed = node.work.failed if node.work else None
        return (
            [(node.info.node_id, "title")],
            [(state if left is None else f"{state} {short_duration(left)}", STYLES[state])],
            _slots(node),
            [(f"{taken.cpu:g}/{most.cpu:g}", _style(share(taken.cpu, most.cpu)))],
            [(f"{share(taken.memory, most.memory):.0%}", _style(share(taken.memory, most.memory)))],
            [(f"{compute.running_executions:,}", "" if compute.running_executions else "muted")],
            [("–" if failed is None else f"{failed:,}", "failed" if failed else "muted")],
            [("never" if silence is None else short_duration(silence), "muted")],
            lambda width: self.shoal.palette.pieces(codes(node)[:width]),
            [(bytes_text(compute.available_capacity.disk), "muted")],
            [(" ".join(compute.execution_engines or ()), "muted")],
            [(node.info.bacalhau_version.git_version, "muted")],
        )

    # Keys

    def focus_now(self) -> Focus:
        """The node under the cursor, and the job that one came from."""
        row = self.row
        node = row.info.node_id if row else ""
        return Focus(job_id=self.at.job_id, job_name=self.at.job_name, node_id=node)

    def on_table_opened(self, _: Table.Opened) -> None:
        """The node."""
        if self.row is not None:
            self.shoal.open("node", self.focus_now())

    def action_drain(self) -> None:
        """Drain it, or take it in again."""
        if self.row is not None:
            self.shoal.cover(DrainDialog(self.row), lambda _: self.ask())

    def action_copy(self) -> None:
        """The node's id."""
        if self.row is not None:
            self.shoal.copy(self.row.info.node_id, "node id")


def _style(taken: float) -> str:
    return "failed" if taken > 0.95 else "running" if taken > 0.7 else "completed" if taken else "waiting"


def _slots(node: NodeState) -> list[Piece]:
    found = slots(node)
    if found is None:
        return [(blocks(0, BLOCKS), "waiting")]
    taken, whole = found
    return [(blocks(taken / whole, BLOCKS), _style(taken / whole)), (f" {taken:,}/{whole:,}", "muted")]
