"""A text over the screen, only to be read: help, why partitions wait, a whole line of a log, a job's specification."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll

from tui.bindings import bindings
from tui.screens.modal import Modal
from tui.widgets.lines import Lines, Pieces

if TYPE_CHECKING:
    from tui.app import ShoalApp


class Reader(Modal[None], inherit_bindings=False):
    """Lines with a title. `fill` replaces them while it is open."""

    BINDINGS = bindings("reader")
    AUTO_FOCUS = "#text"
    DEFAULT_CSS = """
    Reader Vertical {
        width: 90%; max-width: 130; height: auto; max-height: 90%; padding: 0 1;
        background: $background; border: round $primary;
    }
    Reader #title { height: 1; }
    Reader VerticalScroll { height: auto; scrollbar-size-vertical: 1; }
    """

    def __init__(self, title: str, lines: Sequence[Pieces]) -> None:
        super().__init__()
        self._title = title
        self._lines = list(lines)

    def compose(self) -> ComposeResult:
        """Title and text."""
        with Vertical():
            yield Lines(id="title")
            with VerticalScroll(id="text"):
                yield Lines(id="lines")

    def on_mount(self) -> None:
        """Show what there is."""
        self.fill(self._title, self._lines)

    def fill(self, title: str, lines: Sequence[Pieces]) -> None:
        """Other lines."""
        self._title, self._lines = title, list(lines)
        self.query_one("#title", Lines).show([[(title, "title")]])
        text = self.query_one("#lines", Lines)
        text.styles.height = max(1, len(self._lines))
        scroll = self.query_one(VerticalScroll)
        scroll.styles.max_height = max(3, self.app.size.height * 9 // 10 - 3)
        text.show(self._lines)

    @property
    def text(self) -> str:
        """The lines as plain text."""
        return "\n".join("".join(part for part, _ in line) for line in self._lines)

    def action_close(self) -> None:
        """Back."""
        _ = self.dismiss(None)

    def action_scroll(self, lines: int) -> None:
        """Up or down."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_copy(self) -> None:
        """Copy the text."""
        cast("ShoalApp", self.app).copy(self.text, "text")
