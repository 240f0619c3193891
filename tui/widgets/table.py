"""A table of any length: a row is made only when it is seen. The cursor is a row; the screen says what the rows are.

Columns that do not fit are left out in the order of their `drop`; one column may be flexible and takes the rest.
"""

from collections.abc import Callable, Sequence

import msgspec
from rich.cells import cell_len
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.bindings import bindings
from tui.model.text import clip
from tui.widgets import palette as palettes
from tui.widgets.lines import Piece, Pieces, strip_of, width_of


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column. Width in cells; a flexible one has at least that."""

    title: str
    width: int
    flexible: bool = False
    right: bool = False
    drop: int = 0
    """When there is no room, columns with the highest number go first; 0 = never."""
    order: str = ""
    """The order that a click on the title asks for; empty = none."""


Cell = str | Pieces | Callable[[int], Pieces]
"""Text, pieces with styles, or what makes them for a width (a bar)."""


class Table(ScrollView, can_focus=True, inherit_bindings=False):
    """`show` says how many rows there are and how to make one; `refresh_rows` after rows changed."""

    ALLOW_SELECT = False
    BINDINGS = bindings("move")
    DEFAULT_CSS = """
    Table { background: $background; scrollbar-size-vertical: 1; }
    """

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, table: "Table") -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> "Table":
            """The table."""
            return self.table

    class Opened(Moved):
        """Enter, or a second click on the cursor's row."""

    class Sorted(Moved):
        """A click on the title of a column: the order that it asks for."""

        def __init__(self, table: "Table", order: str) -> None:
            super().__init__(table)
            self.order = order

    empty = reactive("")
    """What is said when there are no rows."""

    def __init__(self, columns: Sequence[Column], *, id: str | None = None, empty: str = "") -> None:  # noqa: A002
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.cursor = 0
        self.count = 0
        self.set_reactive(Table.empty, empty)
        self.sorted_by = -1
        """The column whose title has the mark of the order."""
        self._row: Callable[[int], Sequence[Cell]] = lambda _: ()
        self._widths: tuple[int, ...] = ()

    def show(self, count: int, row: Callable[[int], Sequence[Cell]]) -> None:
        """So many rows; `row(i)` has a cell a column."""
        self._row = row
        if count != self.count:
            self.count = count
            self.virtual_size = Size(0, count + 1)
        self.cursor = max(0, min(self.cursor, count - 1))
        self._fit()
        self.refresh()

    def refresh_rows(self, rows: Sequence[int]) -> None:
        """These rows read differently."""
        for row in rows:
            y = row + 1 - self.scroll_offset.y
            if 1 <= y < self.size.height:
                self.refresh(Region(0, y, self.size.width, 1))

    def point(self, row: int) -> None:
        """Put the cursor on a row, and scroll to it."""
        row = max(0, min(row, self.count - 1))
        before, self.cursor = self.cursor, row
        self.refresh_rows((before, row))
        height = max(1, self.size.height - 1)
        top = self.scroll_offset.y
        if row < top:
            self.scroll_to(y=row, animate=False)
        elif row >= top + height:
            self.scroll_to(y=row - height + 1, animate=False)
        if before != row:
            self.post_message(self.Moved(self))

    def on_resize(self, _: Resize) -> None:
        """Columns follow the width."""
        self._fit()
        self.refresh()
        self.call_after_refresh(lambda: self.point(self.cursor))

    def _fit(self) -> None:
        room = self.size.width - 2
        shown = list(range(len(self.columns)))

        def needed() -> int:
            return sum(self.columns[at].width + 1 for at in shown)

        for at in sorted(shown, key=lambda at: -self.columns[at].drop):
            if needed() <= room or not self.columns[at].drop:
                break
            shown.remove(at)
        spare = max(0, room - needed())
        flexible = [at for at in shown if self.columns[at].flexible]
        self._widths = tuple(
            0 if at not in shown else column.width + (spare // len(flexible) if at in flexible else 0)
            for at, column in enumerate(self.columns)
        )

    def width_of(self, column: int) -> int:
        """Cells that a column has now; 0 = it is left out."""
        return self._widths[column] if column < len(self._widths) else 0

    def render_line(self, y: int) -> Strip:
        """The titles, or a row."""
        palette = palettes.of(self)
        if y == 0:
            return strip_of(self._titles(), self.size.width, palette)
        row = y - 1 + self.scroll_offset.y
        if row >= self.count:
            text = self.empty if row == 0 else ""
            return strip_of([(f"  {text}", "muted")], self.size.width, palette)
        is_here = row == self.cursor
        pieces: list[Piece] = [("▌ " if is_here and self.has_focus else "  ", "key")]
        for column, width, cell in zip(self.columns, self._widths, self._row(row), strict=False):
            if width:
                pieces += [*fitted(cell, width, right=column.right), (" ", "")]
        return strip_of(pieces, self.size.width, palette, palette.style("cursor-row") if is_here else None)

    def _titles(self) -> list[Piece]:
        pieces: list[Piece] = [("  ", "")]
        for at, (column, width) in enumerate(zip(self.columns, self._widths, strict=False)):
            if width:
                title = f"{column.title} ▾" if at == self.sorted_by else column.title
                pieces += [*fitted([(title, "title")], width, right=column.right), (" ", "")]
        return pieces

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual asks so
        """Without rows there is nothing to open."""
        return self.count > 0 if action == "open" else True

    def on_focus(self) -> None:
        """The mark of the cursor shows the focus."""
        self.refresh_rows((self.cursor,))

    def on_blur(self) -> None:
        """The same."""
        self.refresh_rows((self.cursor,))

    def action_move(self, rows: int) -> None:
        """Up or down."""
        self.point(self.cursor + rows)

    def action_page(self, pages: int) -> None:
        """A screen up or down."""
        self.point(self.cursor + pages * max(1, self.size.height - 2))

    def action_home(self) -> None:
        """To the first row."""
        self.point(0)

    def action_end(self) -> None:
        """To the last row."""
        self.point(self.count - 1)

    def action_shift(self, _: int) -> None:
        """Columns are chosen by the width: there is nothing at the side."""

    def action_open(self) -> None:
        """Open the row under the cursor."""
        if self.count:
            self.post_message(self.Opened(self))

    def on_click(self, event: Click) -> None:
        """Put the cursor there; twice: open; on a title: sort."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            left = 2
            for column, width in zip(self.columns, self._widths, strict=False):
                if width and left <= offset.x <= left + width:
                    if column.order:
                        self.post_message(self.Sorted(self, column.order))
                    return
                left += width + 1 if width else 0
            return
        row = offset.y - 1 + self.scroll_offset.y
        if row < self.count:
            self.point(row)
            if event.chain > 1:
                self.post_message(self.Opened(self))


def fitted(cell: Cell, width: int, *, right: bool = False) -> list[Piece]:
    """A cell in exactly `width` cells."""
    pieces: Pieces = [(cell, "")] if isinstance(cell, str) else cell(width) if callable(cell) else cell
    shown: list[Piece] = []
    room = width
    for text, style in pieces:
        cut = clip(text, room)
        if cut:
            shown.append((cut, style))
        room -= cell_len(cut)
    padding = (" " * (width - width_of(shown)), "")
    return [padding, *shown] if right else [*shown, padding]
