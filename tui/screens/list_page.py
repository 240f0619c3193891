"""What screens that are one list share: asking now and then, a filter, an order, saving and copying what is shown."""

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.containers import Vertical

from orchestrator.client import ClientError, UnreachableError
from tui.background import begin
from tui.messages import LinkChanged
from tui.places import Focus
from tui.screens.export import export
from tui.screens.page import Page
from tui.widgets.lines import Lines, Piece, both_ends
from tui.widgets.table import Cell, Column, Table

R = TypeVar("R")
QUIET = 5.0
"""Seconds without a key before rows may change places by themselves."""


class ListPage(Page, Generic[R], inherit_bindings=False):
    """Subclasses say the columns, how to `fetch` all rows, `cells` of one, its `key`, and its `plain` values."""

    COLUMNS: ClassVar[Sequence[Column]] = ()
    PERIOD: ClassVar[float] = 2.0
    """Seconds between two questions."""
    NOUN: ClassVar[str] = "row"
    EMPTY: ClassVar[str] = "nothing here"
    ORDERS: ClassVar[Sequence[str]] = ()
    """Names of `plain` values by which rows can be sorted, the first is the one at the start."""
    AUTO_FOCUS = "#list"

    def __init__(self, focus: Focus) -> None:
        super().__init__(focus)
        self.all: list[R] = []
        self.rows: list[R] = []
        self.problem = ""
        self.order = self.ORDERS[0] if self.ORDERS else ""
        self.is_known = False
        self._filter = ""
        self._is_asking = False
        self._last_key = 0.0

    # What a subclass says

    @abstractmethod
    async def fetch(self) -> list[R] | None:
        """All rows; None = as before. Raises ClientError."""

    @abstractmethod
    def cells(self, row: int) -> Sequence[Cell]:
        """The cells of a row that is shown."""

    @abstractmethod
    def key(self, row: R) -> str:
        """What tells rows apart: the cursor follows it."""

    @abstractmethod
    def plain(self, row: R) -> Mapping[str, object]:
        """A row as it is saved, filtered and sorted."""

    def headline(self) -> list[Piece]:
        """What is said above the list, at the left."""
        return []

    # How it works

    def content(self) -> ComposeResult:
        """A line, the list."""
        with Vertical(id="body"):
            yield Lines(id="status")
            yield Table(self.COLUMNS, id="list", empty="loading …")

    @property
    def table(self) -> Table:
        """The list."""
        return self.query_one(Table)

    @property
    def row(self) -> R | None:
        """The row under the cursor."""
        return self.rows[self.table.cursor] if self.rows and self.table.cursor < len(self.rows) else None

    def on_mount(self) -> None:
        """Begin to ask."""
        self.ask()
        self.set_interval(self.PERIOD, self.ask)

    def reconnect(self) -> None:
        """Ask now."""
        self._is_asking = False
        self.ask()

    def on_key(self) -> None:
        """Somebody is working here: rows stay where they are."""
        self._last_key = time.monotonic()

    def ask(self) -> None:
        """Ask, unless an answer is on its way or nobody looks."""
        if not self._is_asking and self._is_seen() and not self.shoal.is_paused:
            self._is_asking = True
            begin(self, "list", self._fetch)

    async def _fetch(self) -> None:
        app = self.shoal
        try:
            rows = await self.fetch()
        except UnreachableError as error:
            app.link.lost(app.monotonic(), error.reason, self.PERIOD)
            app.tell_screens(LinkChanged())
        except ClientError as error:
            self.problem = error.message
            self._say_why_empty()
        else:
            self.problem = ""
            if rows is not None:
                self.take(rows)
        finally:
            self._is_asking = False
        self.paint()

    def take(self, rows: list[R]) -> None:
        """Show these rows from now on; the order changes only while nobody works here."""
        is_settled = self.is_known and time.monotonic() - self._last_key < QUIET
        self.all, self.is_known = rows, True
        self.order_rows(keep_order=is_settled)

    def order_rows(self, *, keep_order: bool = False) -> None:
        """Filter and sort; the cursor stays on its row."""
        here = self.key(self.row) if self.row is not None else ""
        before = {self.key(row): at for at, row in enumerate(self.rows)}
        wanted = self._filter.lower()
        rows = [
            row
            for row in self.all
            if not wanted or any(wanted in str(value).lower() for value in self.plain(row).values())
        ]
        if keep_order:
            rows.sort(key=lambda row: before.get(self.key(row), len(before)))
        elif self.order:
            rows = self.sorted(rows)
        self.rows = rows
        table = self.table
        self._say_why_empty()
        table.show(len(rows), self.cells)
        at = next((at for at, row in enumerate(rows) if self.key(row) == here), None)
        if at is not None:
            table.point(at)
        self.refresh_bindings()

    def _say_why_empty(self) -> None:
        """In the place of rows: that there are none, or as long as nothing is known, why."""
        self.table.empty = self.EMPTY if self.is_known else self.problem or "loading …"

    def sorted(self, rows: list[R]) -> list[R]:
        """Rows in the order that was chosen: numbers from the largest, text from A."""

        def rank(row: R) -> tuple[bool, float, str]:
            value = self.plain(row).get(self.order)
            is_number = isinstance(value, int | float)
            return (not is_number, -float(value) if isinstance(value, int | float) else 0.0, str(value).lower())

        return sorted(rows, key=rank)

    def paint(self) -> None:
        """The line above the list."""
        if not self.is_attached:
            return
        left = self.headline()
        if self.problem and self.is_known:
            left = [(f" {self.problem}", "failed")]
        right: list[Piece] = []
        if self._filter:
            right.append((f"/ {self._filter}  ", "key"))
            right.append((f"{len(self.rows):,} of ", "muted"))
        if self.is_known:
            plural = "" if len(self.all) == 1 else "s"
            right.append((f"{len(self.all):,} {self.NOUN}{plural}", "muted"))
        right.append((f"   sort: {self.order} ▾ " if self.order else " ", "muted"))
        self.query_one("#status", Lines).show([both_ends(left, right, self.size.width)])

    # Keys

    def filter_text(self) -> str | None:
        """The filter in force."""
        return self._filter

    def take_filter(self, text: str) -> None:
        """Show only rows that contain a text anywhere."""
        self._filter = text.strip()
        self.order_rows()
        self.paint()

    def clear_filter(self) -> bool:
        """Show all rows."""
        if not self._filter:
            return False
        self.take_filter("")
        return True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without rows there is nothing to copy or save."""
        if action in ("copy", "save", "save_json", "log", "retry", "drain", "grid") and not self.rows:
            return False
        if action == "sort":
            return len(self.ORDERS) > 1
        return super().check_action(action, parameters)

    def action_sort(self) -> None:
        """By the next column."""
        at = self.ORDERS.index(self.order)
        self.order = self.ORDERS[(at + 1) % len(self.ORDERS)]
        self.order_rows()
        self.paint()

    def on_table_sorted(self, message: Table.Sorted) -> None:
        """By the column whose title was clicked."""
        self.order = message.order
        self.order_rows()
        self.paint()

    def action_copy(self) -> None:
        """The row under the cursor as lines of `name: value`."""
        if self.row is not None:
            text = "\n".join(f"{name}: {value}" for name, value in self.plain(self.row).items())
            self.shoal.copy(text, self.NOUN)

    def action_save(self) -> None:
        """What is shown, as CSV."""
        self._export("csv")

    def action_save_json(self) -> None:
        """What is shown, as JSON."""
        self._export("json")

    def _export(self, kind: str) -> None:
        name = f"shoal-{self.NOUN.replace(' ', '-')}s"
        export(self.shoal, kind, name, [self.plain(row) for row in self.rows], f"{len(self.rows):,} rows")
