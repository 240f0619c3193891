"""A view of a log of any length: draws only the lines that are seen, follows the end, finds, wraps, shows times.

The text is a `LogText`, which only grows; what is chosen (`lines`) and how lines wrap are indexes made in a thread.
"""

import asyncio
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.events import Click, MouseScrollUp, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.background import begin
from tui.bindings import bindings
from tui.model.ansi import PLAIN, Look, shown
from tui.model.logtext import ERR, NOTE, Line, LogText, wrapped
from tui.model.moments import precise_clock, short_duration
from tui.widgets import palette as palettes

TIMES = ("absolute", "relative", "off")
WIDEST = 4_200
"""Cells that a line may take sideways."""


class LogView(ScrollView, can_focus=True, inherit_bindings=False):
    """`grew` after the text grew; `choose` to show only some lines; `mark_matches` after a search.

    `opens` = what enter opens: the `line` under the cursor, or the `log` it is from.
    """

    ALLOW_SELECT = False
    BINDINGS = bindings("text")
    DEFAULT_CSS = """
    LogView { background: $background; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; }
    """

    class Moved(Message):
        """The cursor moved, or following began or ended."""

        def can_replace(self, message: Message) -> bool:
            """Only the newest counts."""
            return isinstance(message, LogView.Moved)

    class Opened(Message):
        """Enter on a line."""

    def __init__(self, text: LogText, *, opens: str) -> None:
        super().__init__(id="log")
        self.text = text
        self.opens = opens
        self.lines: array[int] | None = None
        """The lines that are shown; None = all."""
        self.is_following = False
        self.times = TIMES[0]
        self.is_wrapped = False
        self.cursor = 0
        """Position among the shown lines."""
        self.unseen = 0
        """Lines that arrived while not following."""
        self.matches: Sequence[int] = ()
        self.needle = ""
        self._rows: array[int] | None = None
        self._styles: dict[Look, Style] = {}
        self._left = 0

    # What is shown

    @property
    def count(self) -> int:
        """How many lines are shown."""
        return self.text.count if self.lines is None else len(self.lines)

    def number(self, position: int) -> int:
        """The number of the line at a position."""
        return position if self.lines is None else self.lines[position]

    def current(self) -> Line | None:
        """The line at the cursor."""
        return self.text.line(self.number(self.cursor)) if self.count else None

    def grew(self, lines: int) -> None:
        """The text grew by so many shown lines, or the choice changed."""
        if self.is_wrapped and self._rows is not None:
            begin(self, "wrap", self._rewrap)
        size = Size(self.size.width, self._height())
        if size != self.virtual_size:
            self.virtual_size = size
        if self.is_following:
            self.unseen = 0
            self.cursor = max(0, self.count - 1)
            self.refresh()
            self.call_after_refresh(self._to_end)
        else:
            self.unseen += max(0, lines)
            if size.height - lines <= self.scroll_offset.y + self.size.height:
                self.refresh()

    def grew_before(self, lines: int) -> None:
        """So many lines were put before the text: what is seen stays where it is."""
        self._rows = None
        self.matches = [number + lines for number in self.matches]
        if self.lines is not None:
            self.lines = array("I", [number + lines for number in self.lines])
            return
        self.cursor += lines
        self.virtual_size = Size(self.size.width, self._height())
        self.scroll_to(y=self.scroll_offset.y + lines, animate=False, force=True, immediate=True)
        if self.is_wrapped:
            begin(self, "wrap", self._rewrap)
        self.refresh()

    def choose(self, lines: "array[int] | None") -> None:
        """Show only these lines; the cursor stays at its line, or the one after."""
        number = self.number(self.cursor) if self.count and self.cursor < self.count else 0
        self.lines = lines
        self._rows = None
        self.cursor = number if lines is None else min(bisect_left(lines, number), max(0, len(lines) - 1))
        self.virtual_size = Size(self.size.width, self._height())
        self.refresh()
        if self.is_wrapped:
            begin(self, "wrap", self._rewrap)
        self.call_after_refresh(lambda: self.point(self.cursor))

    def replace(self, text: LogText) -> None:
        """Another log."""
        self.text, self.lines, self._rows = text, None, None
        self.cursor = self.unseen = self._left = 0
        self.matches, self.needle = (), ""
        self.virtual_size = Size(self.size.width, self._height())
        self.scroll_to(y=0, animate=False)
        self.refresh()

    def mark_matches(self, matches: Sequence[int], needle: str) -> None:
        """Lines that a search found, by number, ascending."""
        self.matches, self.needle = matches, needle
        self.refresh()

    def _height(self) -> int:
        if self.is_wrapped and self._rows is not None:
            return self._rows[-1] if len(self._rows) else 0
        return self.count

    # Where we are

    def point(self, position: int, *, middle: bool = False) -> None:
        """Put the cursor on a line, and scroll to it."""
        self.cursor = max(0, min(position, self.count - 1))
        row, height = self._row_of(self.cursor), self.size.height
        top = self.scroll_offset.y
        if not top <= row < top + height:
            target = row - height // 2 if middle else row if row < top else row - height + 1
            self.scroll_to(y=max(0, target), animate=False, force=True)
        self.refresh()
        self.post_message(self.Moved())

    def show_line(self, number: int) -> None:
        """Put the cursor on the line of this number, or the next one that is shown."""
        self.set_following(is_following=False)
        self.point(number if self.lines is None else bisect_left(self.lines, number), middle=True)

    def set_following(self, *, is_following: bool) -> None:
        """Stay at the end, or not."""
        self.is_following = is_following
        if is_following:
            self.unseen = 0
            self.cursor = max(0, self.count - 1)
            self._to_end()
            self.refresh()
        self.post_message(self.Moved())

    def _to_end(self) -> None:
        if self.is_following:
            self.scroll_to(y=max(0, self._height() - self.size.height), animate=False, force=True, immediate=True)

    def _row_of(self, position: int) -> int:
        if self.is_wrapped and self._rows is not None and position <= len(self._rows):
            return self._rows[position - 1] if position else 0
        return position

    def _position_at(self, row: int) -> tuple[int, int]:
        """The line at a row, and which of its rows that is."""
        if self.is_wrapped and self._rows is not None:
            position = bisect_right(self._rows, row)
            return position, row - (self._rows[position - 1] if position else 0)
        return row, 0

    # Wrapping

    def wrap(self, *, is_wrapped: bool) -> None:
        """Wrap long lines, or not; the index is made in a thread, until then they are cut."""
        self.is_wrapped = is_wrapped
        self._rows = None
        self._left = 0
        if is_wrapped:
            begin(self, "wrap", self._rewrap)
        else:
            self._rewrapped()

    async def _rewrap(self) -> None:
        blocks, lines = list(self.text.blocks), self.lines
        rows = await asyncio.to_thread(wrapped, blocks, self._room())
        if lines is not None:
            rows = await asyncio.to_thread(_of_lines, rows, lines)
        if self.is_wrapped and lines is self.lines:
            self._rows = rows
            self._rewrapped()

    def _rewrapped(self) -> None:
        self.virtual_size = Size(self.size.width, self._height())
        self.refresh()
        if self.is_following:
            self.call_after_refresh(self._to_end)
        else:
            self.call_after_refresh(lambda: self.point(self.cursor))

    def _room(self) -> int:
        return max(10, self.size.width - len(self._prefix(Line(b"", 0, 0.0))))

    def on_resize(self, _: Resize) -> None:
        """Another width wraps differently."""
        if self.is_wrapped:
            begin(self, "wrap", self._rewrap)
        self.call_after_refresh(self._to_end if self.is_following else lambda: self.point(self.cursor))

    # Drawing

    def notify_style_update(self) -> None:
        """The theme changed."""
        super().notify_style_update()
        self._styles = {}

    def _prefix(self, line: Line) -> str:
        match self.times:
            case "absolute":
                text = precise_clock(line.time) if line.time else ""
                return f"{text:<12} "
            case "relative":
                text = short_duration(self.text.latest - line.time) if line.time else ""
                return f"{text and '-' + text:>8} "
            case _:
                return ""

    def render_line(self, y: int) -> Strip:
        """One row."""
        palette = palettes.of(self)
        width = self.size.width
        position, part = self._position_at(y + self.scroll_offset.y)
        if position >= self.count:
            return Strip([Segment(" " * width, palette.background)], width)
        number = self.number(position)
        line = self.text.line(number)
        base = palette.style("plain")
        if line.stream == NOTE:
            rule = f"── {line.content.decode()} "
            rule = palette.text(rule + "─" * max(0, width - cell_len(rule)))
            return Strip([Segment(rule, palette.style("muted"))]).adjust_cell_length(width, palette.background)
        prefix = self._prefix(line) if part == 0 else " " * len(self._prefix(line))
        is_match = bool(self.matches) and _has(self.matches, number)
        mark = palette.style("match-now") if position == self.cursor and is_match else palette.style("match")
        body: list[Segment] = []
        for text, look in shown(line.content):
            style = base + self._style(look)
            if line.stream == ERR and look is PLAIN:
                style = palette.style("stderr")
            text = palette.text(text)  # noqa: PLW2901 - the same text, as this terminal can show it
            body += _highlighted(text, style, mark, self.needle) if is_match else [Segment(text, style)]
        room = width - len(prefix)
        start = part * room if self.is_wrapped else self._left
        strip = Strip(body).crop(start, start + room)
        is_here = position == self.cursor and self.has_focus
        lead = Segment(prefix, palette.style("key" if is_here else "muted"))
        strip = Strip([lead, *strip]).adjust_cell_length(width, base)
        if not is_here or is_match:
            return strip
        row = palette.style("cursor-row")
        return Strip([Segment(text, style + row if style else row) for text, style, _ in strip], width)

    def _style(self, look: Look) -> Style:
        if look is PLAIN:
            return Style.null()
        found = self._styles.get(look)
        if found is None:
            mono = palettes.of(self).is_mono
            found = Style(
                color=look.colour if look.colour and not mono else None,
                bgcolor=look.back if look.back and not mono else None,
                bold=look.bold or None,
                dim=look.dim or None,
                underline=look.underline or None,
                reverse=look.reverse or None,
            )
            self._styles[look] = found
        return found

    # Keys

    def action_move(self, lines: int) -> None:
        """A line up or down; up ends following."""
        if lines < 0:
            self.is_following = False
        self.point(self.cursor + lines)

    def action_page(self, pages: int) -> None:
        """A page up or down."""
        if pages < 0:
            self.is_following = False
        self.point(self.cursor + pages * max(1, self.size.height - 1))

    def action_home(self) -> None:
        """To the first line."""
        self.is_following = False
        self.point(0)

    def action_end(self) -> None:
        """To the end, and follow."""
        self.set_following(is_following=True)

    def action_shift(self, cells: int) -> None:
        """Sideways."""
        if not self.is_wrapped:
            self._left = max(0, min(WIDEST, self._left + cells))
            self.refresh()

    def action_open(self, _: str) -> None:
        """The whole line, or its log: the page knows."""
        self.post_message(self.Opened())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Enter is told by what it opens here."""
        return action != "open" or parameters == (self.opens,)

    def on_mouse_scroll_up(self, _: MouseScrollUp) -> None:
        """The wheel ends following."""
        self.is_following = False
        self.post_message(self.Moved())

    def on_click(self, event: Click) -> None:
        """Put the cursor there."""
        offset = event.get_content_offset(self)
        if offset is not None:
            position, _ = self._position_at(offset.y + self.scroll_offset.y)
            if position < self.count:
                self.is_following = False
                self.point(position)


def _has(numbers: Sequence[int], number: int) -> bool:
    at = bisect_left(numbers, number)
    return at < len(numbers) and numbers[at] == number


def _of_lines(rows: "array[int]", lines: "array[int]") -> "array[int]":
    """The same sums for only some of the lines."""
    total = 0
    chosen: array[int] = array("I")
    for number in lines:
        total += rows[number] - (rows[number - 1] if number else 0)
        chosen.append(total)
    return chosen


def _highlighted(text: str, style: Style, mark: Style, needle: str) -> list[Segment]:
    """`text` with every place marked that reads like the needle."""
    flags = 0 if needle != needle.lower() else re.IGNORECASE
    try:
        pattern = re.compile(needle, flags)
    except re.error:
        return [Segment(text, style)]
    segments, at = [], 0
    for match in pattern.finditer(text):
        if match.end() > match.start():
            segments += [Segment(text[at : match.start()], style), Segment(match[0], mark)]
            at = match.end()
    return [*segments, Segment(text[at:], style)]
