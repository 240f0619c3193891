"""Lines of text as strips: pieces of text with the name of a style, cut and padded to a width."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.model.text import clip
from tui.widgets import palette as palettes
from tui.widgets.palette import Palette

Piece = tuple[str, str]
"""Text, and the name of its style in the palette; empty = plain."""
Pieces = Sequence[Piece]
GAP = 2
"""Blanks at least between what stands at both ends of a line."""


def width_of(pieces: Pieces) -> int:
    """Cells that pieces take."""
    return sum(cell_len(text) for text, _ in pieces)


def strip_of(pieces: Pieces, width: int, palette: Palette, over: Style | None = None) -> Strip:
    """Pieces as one line of exactly `width` cells; what does not fit is cut with an ellipsis. Text is made harmless."""
    segments, room = [], width
    base = palette.style("plain")
    for text, name in pieces:
        if room <= 0:
            break
        shown = palette.text(clip(text, room), name)
        room -= cell_len(shown)
        style = base + palette.style(name) if name else base
        segments.append(Segment(shown, style + over if over else style))
    if room > 0:
        segments.append(Segment(" " * room, base + over if over else base))
    return Strip(segments, width)


def both_ends(left: Pieces, right: Pieces, width: int) -> list[Piece]:
    """`left` and `right` with the blanks between them that push them apart; `left` gives way, cut with an ellipsis."""
    kept: list[Piece] = []
    room = width - width_of(right) - GAP
    for text, name in left:
        if room > 0:
            kept.append((clip(text, room), name))
            room -= width_of(kept[-1:])
    return [*kept, (" " * max(GAP, width - width_of(kept) - width_of(right)), ""), *right]


class Lines(Widget):
    """A few lines that never scroll. `show` repaints only what reads differently."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Lines { height: 1; width: 1fr; background: $background; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self._lines: list[list[Piece]] = []

    def show(self, lines: Sequence[Pieces]) -> None:
        """The lines from now on; beyond the height of the widget they are not seen."""
        fresh = [list(line) for line in lines]
        before, self._lines = self._lines, fresh
        for y in range(max(len(before), len(fresh))):
            old = before[y] if y < len(before) else None
            new = fresh[y] if y < len(fresh) else None
            if old != new:
                self.refresh_line(y)

    def refresh_line(self, y: int) -> None:
        """Repaint a line."""
        if y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def notify_style_update(self) -> None:
        """The theme changed."""
        super().notify_style_update()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line."""
        pieces = self._lines[y] if y < len(self._lines) else []
        return strip_of(pieces, self.size.width, palettes.of(self))

    @property
    def text(self) -> str:
        """What it says, for tests."""
        return "\n".join("".join(text for text, _ in line) for line in self._lines)
