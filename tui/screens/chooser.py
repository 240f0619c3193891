"""A list to choose one of, over the screen."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical

from tui.bindings import bindings
from tui.screens.modal import Modal
from tui.widgets.lines import Lines
from tui.widgets.table import Cell, Column, Table


class Chooser(Modal[int], inherit_bindings=False):
    """Gives the position of what was chosen; -1 = nothing."""

    BINDINGS = bindings("chooser")
    AUTO_FOCUS = "Table"
    DEFAULT_CSS = """
    Chooser Vertical {
        width: 80%; max-width: 100; height: auto; max-height: 80%; padding: 0 1;
        background: $background; border: round $primary;
    }
    Chooser #title { height: 1; }
    """

    def __init__(self, title: str, entries: Sequence[tuple[str, str]]) -> None:
        """`entries` are names with what is said beside them."""
        super().__init__()
        self._title = title
        self._entries = entries

    def compose(self) -> ComposeResult:
        """Title and list."""
        with Vertical(id="box"):
            yield Lines(id="title")
            columns = (Column(title="NAME", width=20, flexible=True), Column(title="FROM", width=24, flexible=True))
            yield Table(columns, id="entries")

    def on_mount(self) -> None:
        """Fill it."""
        self.query_one("#title", Lines).show([[(self._title, "title")]])
        table = self.query_one(Table)
        table.styles.height = len(self._entries) + 1
        table.show(len(self._entries), self._cells)

    def _cells(self, row: int) -> Sequence[Cell]:
        name, origin = self._entries[row]
        return ([(name, "title")], [(origin, "muted")])

    def on_table_opened(self, message: Table.Opened) -> None:
        """Chosen."""
        _ = self.dismiss(message.table.cursor)

    def action_close(self) -> None:
        """Nothing was chosen."""
        _ = self.dismiss(-1)
