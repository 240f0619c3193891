"""Draining a node: what runs there, from which jobs, where it could go, and until when it may stay."""

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from orchestrator.client import ClientError
from orchestrator.contract.node import NodeState
from orchestrator.contract.units import duration
from tui.background import begin
from tui.model.moments import counted, short_duration
from tui.model.nodes import state_of
from tui.screens.dialogs import BOX, Dialog
from tui.widgets.choice import Choice
from tui.widgets.lines import Lines, Piece

MOST_JOBS = 20
"""Unfinished jobs that are asked what they run there."""


class DrainDialog(Dialog):
    """Gives whether it was done. A node that is drained already is taken in again."""

    DEFAULT_CSS = f"""
    DrainDialog #box {{ {BOX} }}
    DrainDialog #what {{ height: 1; }}
    DrainDialog #effect {{ height: 7; margin: 1 0 0 0; }}
    DrainDialog #box Horizontal {{ height: 1; margin: 1 0 0 0; }}
    DrainDialog Input {{ height: 1; border: none; background: $panel; padding: 0 1; margin: 1 0 0 0; }}
    DrainDialog Input:focus {{ border: none; }}
    """

    def __init__(self, node: NodeState) -> None:
        super().__init__()
        self.node = node
        self.verb = "undrain" if node.drain else "drain"
        self._is_busy = False

    def compose(self) -> ComposeResult:
        """What, its effect, the deadline, the answers."""
        with Vertical(id="box"):
            yield Lines(id="what")
            yield Lines(id="effect")
            if self.verb == "drain":
                yield Input(placeholder="deadline, e.g. 10m; empty = what runs there may finish", id="deadline")
            with Horizontal():
                yield Choice("Cancel", id="cancel")
                yield Choice("Drain" if self.verb == "drain" else "Take in again", id="accept")

    def on_mount(self) -> None:
        """Say what it would do, then ask what runs there."""
        self._show([[("looking what runs there …", "muted")]])
        begin(self, "drain", self._look)

    def _show(self, more: list[list[Piece]]) -> None:
        name = self.node.info.node_id
        title = f"Drain node {name}" if self.verb == "drain" else f"Take node {name} in again"
        self.query_one("#what", Lines).show([[(title, "title")]])
        running = self.node.info.compute_node_info.running_executions
        lines: list[list[Piece]] = [[(f"{counted(running, 'execution')} running there", "")], *more]
        if self.verb == "drain":
            lines.append([("It takes nothing new.", "muted")])
            lines.append([("What runs there finishes, or moves at the deadline.", "muted")])
        else:
            lines.append([("It takes new executions from now on.", "muted")])
        self.query_one("#effect", Lines).show(lines)

    async def _look(self) -> None:
        app, name = self.shoal, self.node.info.node_id
        lines: list[list[Piece]] = []
        try:
            for line in [one for one in app.overview.lines.values() if not one.state.is_terminal][:MOST_JOBS]:
                found = await app.client.rows(line.id, f"node:{name} assigned,running,publishing", limit=10_000)
                if found.items:
                    lines.append([(f"  {len(found.items):,} of ", ""), (line.name, "title")])
            nodes = (await app.client.nodes()).nodes
        except ClientError as error:
            lines = [[(error.message, "failed")]]
        else:
            others = [
                str(node.info.node_id)
                for node in nodes
                if node.info.node_type == "Compute" and node.info.node_id != name and state_of(node) == "Connected"
            ]
            if len(lines) > 3:
                lines = [*lines[:3], [(f"  and of {len(lines) - 3} more jobs", "muted")]]
            if self.verb == "drain":
                text = ", ".join(others[:6]) + (f" and {len(others) - 6} more" if len(others) > 6 else "")
                style = "muted" if others else "failed"
                lines.append([("other nodes that are up: ", "muted"), (text or "none: all would wait", style)])
        self._show(lines)

    def _deadline(self) -> float | None:
        """Seconds; None = no deadline. Raises ValueError."""
        text = self.query_one("#deadline", Input).value.strip() if self.verb == "drain" else ""
        if not text:
            return None
        seconds = duration(text)
        if seconds < 0:
            message = f"found {text!r}, allowed: 0 or more"
            raise ValueError(message)
        return seconds

    def action_accept(self) -> None:
        """Do it, once."""
        if self._is_busy:
            return
        try:
            seconds = self._deadline()
        except ValueError as error:
            self.shoal.tell(f"deadline: {error}", severity="error")
            self.query_one("#deadline", Input).focus()
            return
        self._is_busy = True
        begin(self, "drain", self._do, seconds)

    async def _do(self, seconds: float | None) -> None:
        client, name = self.shoal.client, self.node.info.node_id
        try:
            if self.verb == "drain":
                await client.change_node(name, "drain", reason="drained in the terminal UI", deadline=seconds)
            else:
                await client.change_node(name, "undrain")
        except ClientError as error:
            self.shoal.tell(f"{self.verb}: {error.message}", severity="error")
            self._is_busy = False
        else:
            until = f", deadline in {short_duration(seconds)}" if seconds is not None else ""
            self.shoal.tell(f"{self.verb}: {name}{until}")
            _ = self.dismiss(True)  # noqa: FBT003 - Textual's positional result
