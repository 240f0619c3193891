"""The grid of partitions: a byte a cell, drawn line by line; only lines whose cells changed are drawn again.

The model counts; this only draws, moves the cursor, and tells where it is.
"""

import re

from rich.segment import Segment
from rich.style import Style
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.bindings import bindings
from tui.model.cells import DIM, MARK
from tui.model.job import JobModel
from tui.model.levels import SCALES, fitting
from tui.widgets import palette as palettes

RUN = re.compile(rb"(.)\1*", re.DOTALL)
CODE = 63
LABEL = 9
"""Cells before a row: the index of its first partition."""
WIDE = 100
NARROW = 50
"""Cells a row, so that row labels are round numbers."""


class PartitionGrid(ScrollView, can_focus=True, inherit_bindings=False):
    """Draws `model` at its scale. `flush` after the model settled; `place` moves the cursor to a partition."""

    ALLOW_SELECT = False
    BINDINGS = bindings("move")
    DEFAULT_CSS = """
    PartitionGrid { background: $background; scrollbar-size-vertical: 1; }
    """

    class Moved(Message):
        """The cursor is on another cell, or the scale changed."""

        def __init__(self, grid: "PartitionGrid") -> None:
            super().__init__()
            self.grid = grid

        def can_replace(self, message: Message) -> bool:
            """Only the newest counts."""
            return isinstance(message, PartitionGrid.Moved)

    class Opened(Message):
        """Enter, or a click on the cursor's cell."""

    def __init__(self, model: JobModel) -> None:
        super().__init__(id="grid")
        self.model = model
        self.cursor = 0
        """The cell under the cursor."""
        self._behind: set[int] = set()
        """Rows that look different and were not drawn again yet."""
        self._latest = -1
        self.is_faded = False
        """Whether the picture is old: the link is down."""
        self.is_fitted = True
        """Whether the scale follows the size of the widget."""
        self._anchor: int | None = None
        """The partition that the cursor was put on; None = it was moved by hand."""
        self._table: list[tuple[str, Style]] | None = None

    @property
    def columns(self) -> int:
        """Cells a row."""
        return WIDE if self.size.width >= WIDE + LABEL else NARROW

    @property
    def rows(self) -> int:
        """Rows of the job at this scale."""
        return -(-self.model.level.cells // self.columns)

    def fit(self) -> None:
        """Choose the scale with which the job fits."""
        self.is_fitted = True
        self.model.show(fitting(self.model.view.count, self.columns, self.size.height))
        self.lay_out()

    def zoom(self, step: int) -> None:
        """A finer (-1) or coarser (1) scale; the worst partition of the cell stays under the cursor."""
        index = self.model.worst(self.cursor)
        at = SCALES.index(self.model.scale) + step
        if 0 <= at < len(SCALES):
            self.is_fitted = False
            self.model.show(SCALES[at])
            self.lay_out()
            self.place(index)

    def lay_out(self) -> None:
        """The number of cells changed: size, cursor and picture follow."""
        size = Size(self.columns + LABEL, self.rows)
        if self.virtual_size != size:
            self.virtual_size = size
        self.cursor = max(0, min(self.cursor, self.model.level.cells - 1))
        self.refresh()

    def place(self, index: int) -> None:
        """Put the cursor on the cell of a partition."""
        self._anchor = index
        self._point(index // self.model.scale)

    def point(self, cell: int) -> None:
        """Put the cursor on a cell; told by `Moved`."""
        self._anchor = None
        self._point(cell)

    def _point(self, cell: int) -> None:
        cell = max(0, min(cell, self.model.level.cells - 1))
        before, self.cursor = self.cursor, cell
        self._refresh_row(before // self.columns)
        self._refresh_row(cell // self.columns)
        row = cell // self.columns
        if not self.scroll_offset.y <= row < self.scroll_offset.y + self.size.height:
            self.scroll_to(y=max(0, row - self.size.height // 2), animate=False)
        self.post_message(self.Moved(self))

    def flush(self, most: int) -> int:
        """Draw what the model says has changed; returns how many cells that were.

        `most` rows at most, the others the next times, in turn: for terminals behind a slow link.
        """
        dirty = self.model.settle()
        columns, top = self.columns, self.scroll_offset.y
        self._behind |= {cell // columns for cell in dirty}
        rows = sorted(row for row in self._behind if top <= row < top + self.size.height)
        if len(rows) > most:
            rows = sorted(rows, key=lambda row: (row <= self._latest, row))[:most]
            self._latest = rows[-1]
            self._behind.difference_update(rows)
        else:
            self._behind.clear()
        for row in rows:
            self._refresh_row(row)
        return len(dirty)

    def fade(self, *, is_faded: bool) -> None:
        """Dim everything while the picture is old."""
        if is_faded != self.is_faded:
            self.is_faded = is_faded
            self._table = None
            self.refresh()

    def _refresh_row(self, row: int) -> None:
        y = row - self.scroll_offset.y
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def on_resize(self, _: Resize) -> None:
        """Columns and the fitting scale depend on the size."""
        if self.is_fitted and self.model.view.count:
            index = self.model.worst(self.cursor) if self._anchor is None else self._anchor
            self.fit()
            self.place(index)
        else:
            self.lay_out()

    def notify_style_update(self) -> None:
        """The theme changed."""
        super().notify_style_update()
        self._table = None

    def render_line(self, y: int) -> Strip:
        """One row of cells."""
        width = self.size.width
        table = self._styles()
        blank, muted = palettes.of(self).background, palettes.of(self).style("muted")
        row = y + self.scroll_offset.y
        columns = self.columns
        first = row * columns
        codes = self.model.level.codes[first : first + columns]
        if not codes:
            return Strip([Segment(" " * width, blank)], width)
        segments = [Segment(f"{first * self.model.scale:>{LABEL - 1},} ", muted)]
        at = self.cursor - first
        for match in RUN.finditer(codes):
            start, end = match.span()
            glyph, style = table[codes[start]]
            if start <= at < end:
                if at > start:
                    segments.append(Segment(glyph * (at - start), style))
                segments.append(Segment(glyph, self._cursor_style(style)))
                start = at + 1
            if end > start:
                segments.append(Segment(glyph * (end - start), style))
        rest = width - LABEL - len(codes)
        if rest > 0:
            segments.append(Segment(" " * rest, blank))
        return Strip(segments, LABEL + len(codes) + max(rest, 0)).crop(0, width)

    def _cursor_style(self, style: Style) -> Style:
        palette = palettes.of(self)
        if not palette.is_mono:
            return palette.style("cursor")
        return style + Style(reverse=not style.reverse, underline=True, bold=True)

    def _styles(self) -> list[tuple[str, Style]]:
        """Glyph and style of every code, with the bits for dimmed and marked."""
        if self._table is None:
            cells = palettes.of(self).cells
            self._table = []
            for code in range(256):
                glyph, style = cells[code & CODE] if code & CODE < len(cells) else (" ", Style())
                if code & DIM:
                    style = palettes.of(self).style("muted") + Style(dim=True)
                elif self.is_faded:
                    style += Style(dim=True, bold=False)
                if code & MARK:
                    style += Style(underline=True, bold=True)
                self._table.append((glyph, style))
        return self._table

    # Keys

    def action_move(self, rows: int) -> None:
        """Up or down a row."""
        target = self.cursor + rows * self.columns
        if 0 <= target < self.model.level.cells:
            self.point(target)
        elif rows > 0 and self.cursor // self.columns < self.rows - 1:
            self.point(self.model.level.cells - 1)

    def action_shift(self, cells: int) -> None:
        """Left or right a cell, on into the neighbouring row."""
        self.point(self.cursor + cells)

    def action_page(self, pages: int) -> None:
        """Up or down a screen."""
        self.point(self.cursor + pages * self.columns * max(1, self.size.height - 1))

    def action_home(self) -> None:
        """To the first cell."""
        self.point(0)

    def action_end(self) -> None:
        """To the last cell."""
        self.point(self.model.level.cells - 1)

    def action_open(self) -> None:
        """Zoom in, at one partition a cell open it: the screen decides."""
        self.post_message(self.Opened())

    def on_click(self, event: Click) -> None:
        """Put the cursor there; on the cursor itself: open."""
        offset = event.get_content_offset(self)
        if offset is None or offset.x < LABEL or offset.x >= LABEL + self.columns:
            return
        cell = (offset.y + self.scroll_offset.y) * self.columns + offset.x - LABEL
        if cell >= self.model.level.cells:
            return
        if cell == self.cursor and event.chain > 1:
            self.post_message(self.Opened())
        else:
            self.point(cell)
