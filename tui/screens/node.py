"""One node: what it is, and the partitions of all jobs that are on it now, or were at their last attempt."""

from collections.abc import Mapping, Sequence

import msgspec
from textual.app import ComposeResult
from textual.containers import Vertical

from orchestrator.client import ClientError
from orchestrator.contract.node import NodeState
from orchestrator.contract.partitions import Row
from tui.bindings import bindings
from tui.model.moments import bytes_text, clock, counted, seconds_of, short_duration
from tui.model.nodes import STYLES, heard, state_of, until_moved, used
from tui.places import Focus
from tui.screens.drain import DrainDialog
from tui.screens.list_page import ListPage
from tui.widgets.lines import Lines, Piece
from tui.widgets.stacked_bar import MARKS
from tui.widgets.table import Cell, Column, Table

RECENT = 30
"""Jobs that are asked what they have on the node: all unfinished ones first."""
MOST = 2_000
"""Partitions of a job."""
RANKS = ("failed", "running", "publishing", "stopping", "assigned", "retrying", "waiting", "stopped", "completed")


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A partition that is on the node."""

    job_id: str
    job_name: str
    row: Row


class NodePage(ListPage[Placed], inherit_bindings=False):
    """Asks every three seconds; of jobs that have ended, once."""

    BINDINGS = bindings("page", "list", "node")
    PERIOD = 3.0
    NOUN = "partition"
    EMPTY = "no partition of the newest jobs is or was here"
    ORDERS = ("trouble", "job", "partition", "started")
    DEFAULT_CSS = """
    NodePage #facts { height: 4; }
    """
    COLUMNS = (
        Column(title="JOB", width=14, flexible=True, order="job"),
        Column(title="PARTITION", width=9, right=True, order="partition"),
        Column(title="STATE", width=12, order="trouble"),
        Column(title="ATTEMPT", width=7, right=True, drop=2),
        Column(title="STARTED", width=9, drop=3, order="started"),
        Column(title="TOOK", width=7, right=True, drop=1),
        Column(title="MESSAGE", width=14, flexible=True),
    )

    def __init__(self, focus: Focus) -> None:
        super().__init__(msgspec.structs.replace(focus, node_id=focus.argument or focus.node_id))
        self.node: NodeState | None = None
        self._ended: dict[str, list[Placed]] = {}

    def content(self) -> ComposeResult:
        """The node, then what is on it."""
        with Vertical(id="body"):
            yield Lines(id="facts")
            yield Lines(id="status")
            yield Table(self.COLUMNS, id="list", empty="loading …")

    def crumbs(self) -> Sequence[str]:
        """Nodes, its name."""
        return ("nodes", self.at.node_id or "?")

    async def fetch(self) -> list[Placed]:
        """What jobs have there."""
        client = self.shoal.client
        if not self.at.node_id:
            message = "which node? give its name: :node NAME"
            raise ClientError(message, code="BadRequest", status=400)
        self.node = await client.node(self.at.node_id)
        name = self.node.info.node_id
        lines = sorted(self.shoal.overview.lines.values(), key=lambda line: (line.state.is_terminal, -line.created))
        placed: list[Placed] = []
        for line in lines[:RECENT]:
            known = self._ended.get(line.id)
            if known is None:
                try:
                    found = await client.rows(line.id, f"node:{name}", limit=MOST)
                except ClientError as error:
                    if error.status != 404:
                        raise
                    continue
                known = [Placed(job_id=line.id, job_name=line.name, row=row) for row in found.items]
                if line.state.is_terminal:
                    self._ended[line.id] = known
            elif not line.state.is_terminal:
                del self._ended[line.id]
            placed += known
        return placed

    def key(self, row: Placed) -> str:
        """Job and index."""
        return f"{row.job_id}.{row.row.index}"

    def plain(self, row: Placed) -> Mapping[str, object]:
        """For saving, filtering and sorting."""
        one = row.row
        return {
            "job": row.job_name,
            "job id": row.job_id,
            "partition": one.index,
            "state": one.state,
            "attempts": one.attempts,
            "started": one.started,
            "finished": one.finished,
            "cause": one.cause,
            "message": one.message,
        }

    def sorted(self, rows: list[Placed]) -> list[Placed]:
        """Partitions from the first, trouble first."""
        match self.order:
            case "partition":
                return sorted(rows, key=lambda one: (one.row.index, one.job_name))
            case "trouble":
                return sorted(
                    rows, key=lambda one: RANKS.index(one.row.state) if one.row.state in RANKS else len(RANKS)
                )
            case _:
                return super().sorted(rows)

    def cells(self, row: int) -> Sequence[Cell]:
        """A partition."""
        placed = self.rows[row]
        one = placed.row
        begun, ended = seconds_of(one.started), seconds_of(one.finished)
        took = "" if begun is None else short_duration(max(0.0, (ended or self.shoal.wall()) - begun))
        word = one.state.capitalize()
        return (
            placed.job_name,
            str(one.index),
            [(f"{MARKS.get(word, '·')} {word}", one.state)],
            str(one.attempts),
            [(clock(begun) if begun else "–", "muted")],
            took,
            [(one.message, "muted")],
        )

    def paint(self) -> None:
        """What the node is, too."""
        super().paint()
        if not self.is_attached or self.node is None:
            return
        node = self.node
        compute, taken, state = node.info.compute_node_info, used(node), state_of(node)
        most = compute.max_capacity
        silence = heard(node, self.shoal.wall())
        first: list[Piece] = [(f" {node.info.node_id}  ", "title"), (state, STYLES[state])]
        first.append((f"  {counted(compute.running_executions, 'execution')} running", ""))
        if (left := until_moved(node, self.shoal.wall())) is not None:
            first.append((f", moved in {short_duration(left)}", "running"))
        first.append((f"  heard {'never' if silence is None else short_duration(silence) + ' ago'}", "muted"))
        if node.drain is not None:
            first.append((f"  {node.drain.reason}", "running"))
        second: list[Piece] = [
            (f" CPU {taken.cpu:g}/{most.cpu:g}", ""),
            (f"  memory {bytes_text(taken.memory)}/{bytes_text(most.memory)}", ""),
            (f"  disk free {bytes_text(compute.available_capacity.disk)}", ""),
            (f"  GPUs {most.gpu}" if most.gpu else "", ""),
            (f"  engines {' '.join(compute.execution_engines or ())}", "muted"),
        ]
        labels = "  ".join(f"{name}={value}" for name, value in node.info.labels.items())
        third: list[Piece] = [(f" {labels}", "muted")]
        error = node.connection_state.last_error
        self.query_one("#facts", Lines).show([first, second, third, [(f" {error}", "failed")] if error else []])

    # Keys

    def focus_now(self) -> Focus:
        """The partition under the cursor."""
        row = self.row
        if row is None:
            return Focus(node_id=self.at.node_id)
        return Focus(job_id=row.job_id, job_name=row.job_name, partition=row.row.index, node_id=self.at.node_id)

    def on_table_opened(self, _: Table.Opened) -> None:
        """The partition."""
        if self.row is not None:
            self.shoal.open("partition", self.focus_now())

    def action_log(self) -> None:
        """Its log."""
        if self.row is not None:
            self.shoal.open("log", self.focus_now())

    def action_grid(self) -> None:
        """The job, with what is on this node lit."""
        row = self.row
        if row is not None:
            here = self.focus_now()
            self.shoal.open("matches", msgspec.structs.replace(here, argument=f"node:{self.at.node_id}"))

    def action_drain(self) -> None:
        """Drain it, or take it in again."""
        if self.node is not None:
            self.shoal.cover(DrainDialog(self.node), lambda _: self.ask())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Draining needs the node, not partitions on it."""
        if action == "drain":
            return super(ListPage, self).check_action(action, parameters) if self.node is not None else False
        return super().check_action(action, parameters)
