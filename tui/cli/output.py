"""The only writer of stdout: JSON, tables, text, raw bytes.

On a terminal tables fit its width; anywhere else nothing is wrapped, cut or coloured.
"""

import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, BinaryIO, cast

import msgspec

from tui.cli.printable import printable

GAP = "  "
NARROWEST = 8
"""A column is not made narrower than this many cells."""
COLOURS = {
    "Completed": "32",
    "completed": "32",
    "CONNECTED": "32",
    "Failed": "31",
    "failed": "31",
    "DISCONNECTED": "31",
    "Running": "36",
    "running": "36",
    "Stopped": "33",
    "stopped": "33",
    "retrying": "33",
}
"""Words that are coloured on a terminal: SGR codes."""


class OutputClosedError(SystemExit):
    """Nobody reads stdout any more. A way out, not an error: nothing between here and `main` may take it for one."""


class _Pipe(io.TextIOBase):
    """A stream whose end raises OutputClosedError: click would take a BrokenPipeError for a failure."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError as error:
            raise OutputClosedError from error

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError as error:
            raise OutputClosedError from error

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def raw(self, content: bytes) -> None:
        buffer: BinaryIO | None = getattr(self._stream, "buffer", None)
        if buffer is None:
            self.write(content.decode(errors="replace"))
            return
        try:
            self._stream.flush()
            buffer.write(content)
            buffer.flush()
        except BrokenPipeError as error:
            raise OutputClosedError from error


class Output:
    """Writes data to a stream. When nobody reads it any more, OutputClosedError goes up to `main`, which ends silently."""

    def __init__(self, stream: IO[str] | None = None, *, is_terminal: bool | None = None, width: int = 0) -> None:
        self._pipe = _Pipe(stream or sys.stdout)
        self.stream = cast("IO[str]", self._pipe)
        self.is_terminal = self.stream.isatty() if is_terminal is None else is_terminal
        self.has_colour = self.is_terminal and not os.environ.get("NO_COLOR")
        self._width = width

    @property
    def width(self) -> int:
        """Cells in a line of the terminal, as it is now."""
        return self.size()[0]

    def size(self) -> tuple[int, int]:
        """Cells in a line, and lines, of the terminal."""
        if self._width:
            return self._width, 24
        try:
            size = os.get_terminal_size(self.stream.fileno())
        except (OSError, ValueError, AttributeError):
            return 80, 24
        return max(size.columns, 20), max(size.lines, 5)

    def line(self, text: str = "") -> None:
        """One line of text of ours; text from outside in it must be `printable` already."""
        self.stream.write(text + "\n")
        self.stream.flush()

    def json(self, value: Any, *, pretty: bool = False) -> None:
        """A value as one line of JSON (or indented), as it is on the wire."""
        encoded = msgspec.json.encode(value)
        self.line((msgspec.json.format(encoded, indent=2) if pretty else encoded).decode())

    def yaml(self, value: Any) -> None:
        """A value as YAML, with the keys of the wire, sorted."""
        import yaml

        self.stream.write(yaml.safe_dump(msgspec.to_builtins(value), sort_keys=True, allow_unicode=True))
        self.stream.flush()

    def csv(self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, header: bool = True) -> None:
        """Rows as CSV."""
        import csv

        writer = csv.writer(self.stream, lineterminator="\n")
        if header:
            writer.writerow(columns)
        writer.writerows([printable(cell) for cell in row] for row in rows)
        self.stream.flush()

    def raw(self, content: bytes) -> None:
        """Bytes as they are."""
        self._pipe.raw(content)

    def flush(self) -> None:
        """Hand everything over to whoever reads."""
        self.stream.flush()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, header: bool = True) -> None:
        """A table. On a terminal its widest columns are cut to fit; elsewhere nothing is."""
        cells = [[printable(cell) for cell in row] for row in rows]
        if header:
            cells.insert(0, [column.upper() for column in columns])
        if not cells:
            return
        widths = [max(cell_length(row[i]) for row in cells) for i in range(len(columns))]
        if self.is_terminal:
            widths = fitted(widths, self.width - len(GAP) * (len(widths) - 1))
        lines = [self._row(row, widths) for row in cells]
        self.stream.write("\n".join(lines) + "\n")
        self.stream.flush()

    def _row(self, row: Sequence[str], widths: Sequence[int]) -> str:
        shown = [clipped(cell, width) if self.is_terminal else cell for cell, width in zip(row, widths, strict=True)]
        padded = [cell + " " * (width - cell_length(cell)) for cell, width in zip(shown[:-1], widths[:-1], strict=True)]
        cells = [*padded, shown[-1]]
        if self.has_colour:
            cells = [self.coloured(cell) for cell in cells]
        return GAP.join(cells).rstrip()

    def coloured(self, cell: str) -> str:
        """A state word in its colour, when there are colours."""
        code = COLOURS.get(cell.strip(), "") if self.has_colour else ""
        return f"\x1b[{code}m{cell}\x1b[0m" if code else cell

    def fields(self, pairs: Mapping[str, str]) -> None:
        """`Name = value` lines, aligned; empty values are left out."""
        shown = {name: value for name, value in pairs.items() if value}
        width = max(map(len, shown), default=0)
        for name, value in shown.items():
            self.line(f"{name:<{width}} = {self.coloured(printable(value))}")


def cell_length(text: str) -> int:
    """Cells that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def clipped(text: str, width: int) -> str:
    """A text cut to a number of cells, with an ellipsis when something is missing."""
    if cell_length(text) <= width:
        return text
    if text.isascii():
        return text[: width - 1] + "…"
    from rich.cells import set_cell_size

    return set_cell_size(text, width - 1).rstrip() + "…"


def fitted(widths: Sequence[int], room: int) -> list[int]:
    """Column widths that fit into `room` cells: the widest give first, none below `NARROWEST`."""
    fit = list(widths)
    while sum(fit) > room:
        widest = max(range(len(fit)), key=fit.__getitem__)
        if fit[widest] <= NARROWEST:
            break
        others = sum(fit) - fit[widest]
        second = max((w for i, w in enumerate(fit) if i != widest), default=0)
        fit[widest] = max(NARROWEST, min(fit[widest] - 1, max(room - others, second)))
    return fit
