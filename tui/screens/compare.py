"""Two attempts beside each other: what is different about them, and where their logs part."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import msgspec
from textual.app import ComposeResult
from textual.containers import Vertical

from orchestrator.client import ClientError, OrchestratorClient
from orchestrator.contract.job import Job
from orchestrator.contract.partitions import Attempt, AttemptInputs, PartitionState
from tui.background import begin
from tui.bindings import bindings
from tui.model.ansi import shown
from tui.model.diff import (
    Change,
    asked,
    compare,
    fact_changes,
    facts,
    input_sizes,
    inputs_summary,
    named_changes,
    nearest_completed,
    variables,
)
from tui.model.moments import counted
from tui.places import Focus
from tui.screens.page import Page
from tui.screens.reader import Reader
from tui.screens.whole_line import WIDTH
from tui.widgets.lines import Lines, Piece, both_ends
from tui.widgets.table import Cell, Column, Table

MOST = 4 << 20
"""Bytes at the end of each stream of a log that are compared."""
WIDE = 160
"""Columns from which both stand side by side."""
MARKS = {"=": " ", "-": "-", "+": "+", "~": "≠", ".": "⋯"}
SIDES = (
    Column(title="", width=10),
    Column(title="A", width=20, flexible=True),
    Column(title="B", width=20, flexible=True),
)
BELOW = (Column(title="", width=10), Column(title="A -   B +", width=40, flexible=True))


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two."""

    focus: Focus
    attempt: Attempt
    lines: list[str]
    job: Job | None
    inputs: AttemptInputs | None
    """None = the orchestrator does not tell, as with the job."""

    @property
    def facts(self) -> dict[str, str]:
        """What is told of it before anything else."""
        told = facts(self.attempt, self.focus.partition)
        if self.job is None:
            return told
        is_told = self.job.task.input_sources or input_sizes(self.inputs)
        had = {"inputs": inputs_summary(self.inputs)} if is_told else {}
        return told | asked(self.job, self.attempt) | had

    @property
    def name(self) -> str:
        """`412.2`."""
        return f"{self.focus.partition}.{self.attempt.attempt}"


class ComparePage(Page, inherit_bindings=False):
    """B is what was in focus; A the marked attempt, or else of the completed partition nearest in index."""

    BINDINGS = bindings("page", "compare")
    AUTO_FOCUS = "#differences"

    def __init__(self, focus: Focus) -> None:
        super().__init__(focus)
        self.a: Side | None = None
        self.b: Side | None = None
        self.message = "reading both logs …"
        self.entries: list[tuple[str, Change]] = []
        """A label and a change each."""
        self.shown: list[tuple[str, Change, str]] = []
        """The same as rows: the third is the side that the row shows, empty = both."""
        self.is_sides: bool | None = None
        """None = by the width."""
        self._is_swapped = False

    def content(self) -> ComposeResult:
        """Who they are, and the differences."""
        with Vertical(id="body"):
            yield Lines(id="status")
            yield Table(BELOW, id="differences", empty="")

    def crumbs(self) -> Sequence[str]:
        """The job, compare."""
        return (self.at.job_name or self.at.job_id, str(self.at.partition), "compare")

    def focus_now(self) -> Focus:
        """B."""
        return self.b.focus if self.b else self.at

    def on_mount(self) -> None:
        """Read both."""
        self.reconnect()

    def reconnect(self) -> None:
        """Read anew."""
        begin(self, "compare", self._read)

    async def _read(self) -> None:
        client = self.shoal.client
        try:
            other = self.shoal.mark if self.shoal.mark and self.shoal.mark != self.at else await self._nearest(client)
            if other is None:
                self.message = (
                    "nothing to compare with: mark an attempt as A with m, or wait until a partition completes"
                )
                self.paint()
                return
            first = await read_side(client, other)
            second = await read_side(client, self.at)
        except ClientError as error:
            self.message = error.message
            self.paint()
            return
        self.a, self.b = (second, first) if self._is_swapped else (first, second)
        await self._compare()

    async def _nearest(self, client: OrchestratorClient) -> Focus | None:
        grid = await client.grid(self.at.job_id)
        found = nearest_completed(grid.states, self.at.partition, int(PartitionState.COMPLETED))
        return None if found is None else msgspec.structs.replace(self.at, partition=found, attempt=0)

    async def _compare(self) -> None:
        assert self.a is not None
        assert self.b is not None
        a, b = self.a, self.b
        changes = await asyncio.to_thread(compare, a.lines, b.lines)
        self.entries = fact_changes(a.facts, b.facts)
        for title, found in (
            ("inputs", named_changes(input_sizes(a.inputs), input_sizes(b.inputs))),
            ("environment", named_changes(variables(a.job), variables(b.job))),
            ("logs", changes),
        ):
            if found or title == "logs":
                self.entries += [("", Change(".", title, "")), *(("", change) for change in found)]
        if not a.lines and not b.lines:
            self.entries.append(("", Change(".", "both logs are empty", "")))
        self.message = ""
        self._lay_out()
        self.paint()

    def _lay_out(self) -> None:
        sides = self.is_sides if self.is_sides is not None else self.app.size.width >= WIDE
        table = self.query_one(Table)
        table.columns = SIDES if sides else BELOW
        self.shown = []
        for label, change in self.entries:
            if sides or change.kind != "~":
                self.shown.append((label, change, ""))
            else:
                self.shown += [(label, change, "-"), ("", change, "+")]
        table.show(len(self.shown), self.cells)

    def on_resize(self) -> None:
        """Side by side where there is room."""
        self.call_after_refresh(self._lay_out)

    def cells(self, row: int) -> Sequence[Cell]:
        """A line."""
        label, change, side = self.shown[row]
        is_sides = len(self.query_one(Table).columns) == 3
        kind = side or change.kind
        mark = MARKS[kind]
        first: list[Piece] = [(label or mark, "key" if label else "muted")]
        if change.kind == ".":
            return (first, [(f"── {change.left} ──", "muted")], [("", "")])
        left_style = {"-": "failed", "~": "running"}.get(change.kind, "" if label else "muted")
        right_style = {"+": "completed", "~": "running"}.get(change.kind, "" if label else "muted")
        if is_sides:
            return (first, [(change.left, left_style)], [(change.right, right_style)])
        text = change.right if kind == "+" else change.left
        style = {"-": "failed", "+": "completed"}.get(kind, "" if label else "muted")
        return (first, [(f"{kind if kind in '-+' else ' '} {text}", style)])

    def paint(self) -> None:
        """Who they are."""
        if not self.is_attached:
            return
        if self.a is None or self.b is None or self.message:
            self.query_one("#status", Lines).show([[(f" {self.message}", "muted")]])
            return
        differ = sum(1 for _, change in self.entries if change.kind in "-+~")
        left: list[Piece] = [(" A ", "key"), (self.a.name, "failed"), (f" {self.a.attempt.state}", "muted")]
        left += [("   B ", "key"), (self.b.name, "completed"), (f" {self.b.attempt.state}", "muted")]
        right: list[Piece] = [(f"{counted(differ, 'difference')} ", "muted")]
        self.query_one("#status", Lines).show([both_ends(left, right, self.size.width)])

    # Keys

    def action_difference(self, step: int) -> None:
        """The next difference: of the facts, the inputs, the environment, the logs."""
        table = self.query_one(Table)
        places = [at for at, (_, change, side) in enumerate(self.shown) if change.kind in "-+~" and side != "+"]
        if not places:
            self.shoal.tell("nothing differs")
            return
        here = table.cursor
        ahead = [at for at in places if at > here] if step > 0 else [at for at in reversed(places) if at < here]
        table.point(ahead[0] if ahead else places[0 if step > 0 else -1])

    def on_table_opened(self, message: Table.Opened) -> None:
        """The whole line, of both."""
        label, change, _ = self.shown[message.table.cursor]
        lines: list[list[Piece]] = [[(label, "title")]] if label else []
        for name, text in (("A ", change.left), ("B ", change.right)):
            lines += [[(name, "key"), (text[at : at + WIDTH], "")] for at in range(0, max(1, len(text)), WIDTH)]
        self.shoal.cover(Reader("line", lines))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nothing to filter."""
        return False if action == "filter" else super().check_action(action, parameters)

    def action_sides(self) -> None:
        """Side by side, or one below the other."""
        self.is_sides = len(self.query_one(Table).columns) != 3
        self._lay_out()

    def action_swap(self) -> None:
        """A becomes B."""
        if self.a is not None and self.b is not None:
            self._is_swapped = not self._is_swapped
            self.a, self.b = self.b, self.a
            begin(self, "compare", self._compare)

    def action_log(self) -> None:
        """The log of B."""
        self.shoal.open("log", self.focus_now())

    def _text(self) -> str:
        lines = [f"A {self.a.name if self.a else ''}  B {self.b.name if self.b else ''}"]
        for label, change in self.entries:
            start = f"{label}: " if label else ""
            if change.kind == "~":
                lines += [f"- {start}{change.left}", f"+ {start}{change.right}"]
            elif change.kind == ".":
                lines.append(f"@@ {change.left} @@")
            else:
                sign = change.kind if change.kind in "-+" else " "
                lines.append(f"{sign} {start}{change.right if sign == '+' else change.left}")
        return "\n".join(lines) + "\n"

    def action_copy(self) -> None:
        """The comparison."""
        self.shoal.copy(self._text(), "comparison")

    def action_save(self) -> None:
        """The comparison as a file."""
        name = f"compare-{self.a.name if self.a else 'a'}-{self.b.name if self.b else 'b'}.diff"
        try:
            path = self.shoal.write_file(name, self._text().encode())
        except OSError as error:
            self.shoal.tell(f"the comparison could not be written: {error}", severity="error")
        else:
            self.shoal.tell(f"written to {path}")


async def read_side(client: OrchestratorClient, focus: Focus) -> Side:
    """An attempt (0 = the last) with the end of its log, stdout then stderr. Raises ClientError."""
    detail = await client.partition(focus.job_id, focus.partition)
    attempt = next((one for one in detail.attempts if one.attempt == focus.attempt), None)
    if attempt is None:
        if not detail.attempts:
            message = f"partition {focus.partition} has no attempt yet"
            raise ClientError(message, code="NotFound", status=404)
        attempt = detail.attempts[-1]
    job: Job | None = None
    inputs: AttemptInputs | None = None
    with suppress(ClientError):
        job = (await client.job(focus.job_id)).job
        told = (await client.inputs(focus.job_id, focus.partition)).items
        inputs = next((one for one in told if one.attempt == attempt.attempt), None)
    lines: list[str] = []
    for stream in ("out", "err"):
        found = await client.log_range(focus.job_id, focus.partition, attempt.attempt, stream, offset=-MOST, limit=MOST)
        lines += ["".join(text for text, _ in shown(line)) for line in found.content.splitlines()]
    here = msgspec.structs.replace(focus, attempt=attempt.attempt)
    return Side(focus=here, attempt=attempt, lines=lines, job=job, inputs=inputs)
