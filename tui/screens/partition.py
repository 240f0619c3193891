"""One partition: its attempts on a common line of time, what each had as inputs, and what became of it."""

import contextlib
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical

from orchestrator.client import ClientError
from orchestrator.contract.partitions import Attempt, AttemptInputs, PartitionDetail
from tui.background import begin
from tui.bindings import bindings
from tui.model.moments import bytes_text, clock, countdown, counted, seconds_of, short_duration
from tui.places import Focus
from tui.screens.acting import ActDialog, Deed
from tui.screens.log import job_page
from tui.screens.page import Page
from tui.screens.spec import copy_spec
from tui.widgets.inspector import ATTEMPT_MARKS, why
from tui.widgets.lines import Lines, Piece
from tui.widgets.stacked_bar import MARKS
from tui.widgets.table import Cell, Column, Table

COLUMNS = (
    Column(title="#", width=3, right=True),
    Column(title="STATE", width=11),
    Column(title="STARTED", width=9, drop=3),
    Column(title="TIME", width=12, flexible=True, drop=4),
    Column(title="TOOK", width=7, right=True, drop=1),
    Column(title="NODE", width=12, drop=2),
    Column(title="WHY", width=14),
    Column(title="MESSAGE", width=12, flexible=True),
)
NONE_YET = "no attempt yet; W says why"
LISTED_NOWHERE = "the attempts were counted, but not kept"
"""As in a recording."""


class PartitionPage(Page, inherit_bindings=False):
    """Asks once a second while it is open."""

    BINDINGS = bindings("page", "partition")
    AUTO_FOCUS = "#attempts"
    DEFAULT_CSS = """
    PartitionPage #facts { height: 3; }
    PartitionPage #attempts { height: 1fr; }
    """

    def __init__(self, focus: Focus) -> None:
        super().__init__(focus)
        self.detail: PartitionDetail | None = None
        self.inputs: dict[str, AttemptInputs] = {}
        """Of the attempts that have ended, by execution."""
        self._states: list[str] = []
        self._message = "loading …"
        self._is_asking = False

    def content(self) -> ComposeResult:
        """Where it stands, and the attempts."""
        with Vertical(id="body"):
            yield Lines(id="facts")
            yield Table(COLUMNS, id="attempts", empty=NONE_YET)

    def crumbs(self) -> Sequence[str]:
        """Job and index."""
        return ("jobs", self.at.job_name or self.at.job_id, str(self.at.partition))

    def on_mount(self) -> None:
        """Begin to ask."""
        self._ask()
        self.set_interval(1.0, self._ask)

    def reconnect(self) -> None:
        """Ask now."""
        self._ask()

    def _ask(self) -> None:
        if not self._is_asking and self._is_seen():
            begin(self, "partition", self._fetch)

    async def _fetch(self) -> None:
        self._is_asking = True
        try:
            detail = await self.shoal.client.partition(self.at.job_id, self.at.partition)
        except ClientError as error:
            self._message = error.message
        else:
            if detail.partition.index != self.at.partition:
                return
            is_first = self.detail is None
            self.detail = detail
            table = self.query_one(Table)
            table.empty = LISTED_NOWHERE if detail.partition.attempts else NONE_YET
            table.show(len(detail.attempts), self.cells)
            if is_first:
                table.point(len(detail.attempts) - 1)
                self.refresh_bindings()
            states = [one.state for one in detail.attempts]
            if states != self._states:
                self._states = states
                await self._learn_inputs()
        finally:
            self._is_asking = False
        self.paint()

    async def _learn_inputs(self) -> None:
        """Ask what the attempts had as inputs; a server that does not tell leaves that unknown."""
        with contextlib.suppress(ClientError):
            found = await self.shoal.client.inputs(self.at.job_id, self.at.partition)
            self.inputs = {one.execution_id: one for one in found.items}

    def attempt(self) -> Attempt | None:
        """The attempt under the cursor."""
        attempts = self.detail.attempts if self.detail else ()
        cursor = self.query_one(Table).cursor
        return attempts[cursor] if cursor < len(attempts) else None

    def focus_now(self) -> Focus:
        """The attempt under the cursor."""
        return self.at.on(self.attempt())

    def paint(self) -> None:
        """Where the partition stands."""
        if not self.is_attached:
            return
        detail = self.detail
        if detail is None:
            self.query_one("#facts", Lines).show([[(f" {self._message}", "muted")]])
            return
        row = detail.partition
        name = row.state.capitalize()
        line: list[Piece] = [
            (f" {MARKS.get(name, '·')} {name}", row.state),
            (f" after {counted(row.attempts, 'attempt')}", "muted"),
        ]
        due = seconds_of(detail.retry_at)
        if due is not None:
            line.append((f"  next attempt in {countdown(due - self.shoal.wall())}", "retrying"))
        if row.exit_code is not None:
            line.append((f"  exit {row.exit_code}", "muted"))
        message: list[Piece] = (
            [(f" {row.message}", "failed" if row.state == "failed" else "muted")] if row.message else []
        )
        chosen = self.attempt()
        about: list[Piece] = []
        if chosen is not None:
            had = inputs_text(self.inputs.get(chosen.execution_id))
            about = [(f" {chosen.execution_id}", "muted"), ("  inputs ", "muted"), (had, "")]
        self.query_one("#facts", Lines).show([line, message, about])
        if any(not one.finished for one in detail.attempts):
            self.query_one(Table).refresh()

    def cells(self, row: int) -> Sequence[Cell]:
        """An attempt."""
        assert self.detail is not None
        attempts = self.detail.attempts
        one = attempts[row]
        mark, style = ATTEMPT_MARKS.get(one.state, ("·", "waiting"))
        begun, ended = seconds_of(one.started), seconds_of(one.finished)
        now = self.shoal.wall()
        took = short_duration(max(0.0, (ended or now) - begun)) if begun is not None else ""
        accepted: list[Piece] = [(" accepted", "completed")] if one.is_accepted else []
        return (
            str(one.attempt),
            [(f"{mark} {one.state}", style)],
            clock(begun) if begun is not None else "–",
            lambda width: time_line(attempts, one, now, width, style),
            took,
            one.node_id,
            [(why(one), "failed" if one.cause else "muted"), *accepted],
            [(one.message, "muted")],
        )

    # Keys

    def action_log(self) -> None:
        """The log of the attempt under the cursor."""
        self.shoal.open("log", self.focus_now())

    def on_table_opened(self) -> None:
        """The same."""
        self.action_log()

    def on_table_moved(self) -> None:
        """Another attempt: the line above is about it."""
        self.paint()

    def action_attempt(self, step: int) -> None:
        """The attempt before or after."""
        table = self.query_one(Table)
        table.point(table.cursor + step)

    def action_neighbour(self, step: int) -> None:
        """The previous or next failed partition, or match of the job's filter."""
        page = job_page(self)
        found = page.model.next_trouble(self.at.partition, step) if page else None
        if page is None or found is None or found == self.at.partition:
            self.shoal.tell("no other partition failed")
            return
        page.jump(found)
        self.at = Focus(job_id=self.at.job_id, job_name=self.at.job_name, partition=found)
        self.detail = None
        self._is_asking, self._states = False, []
        self.show_header()
        self._ask()

    def action_why(self) -> None:
        """Why it waits."""
        from tui.screens.why import WhyReader  # noqa: PLC0415 - seldom asked for

        self.shoal.cover(WhyReader(self.shoal.client, self.at, str(self.at.partition)))

    def action_copy(self) -> None:
        """The id of the execution."""
        attempt = self.attempt()
        if attempt is not None:
            self.shoal.copy(attempt.execution_id, "execution id")

    def action_copy_spec(self) -> None:
        """The job as YAML."""
        begin(self, "spec", copy_spec, self.shoal, self.at.job_id)

    def action_retry(self) -> None:
        """Retry this partition."""
        self._act("retry")

    def action_stop(self) -> None:
        """Stop this partition."""
        self._act("stop")

    def _act(self, verb: str) -> None:
        index = self.at.partition
        deed = Deed(verb=verb, focus=self.at, select=str(index), scope=f"partition {index}")
        self.shoal.cover(ActDialog(deed), lambda _: self._ask())


def inputs_text(inputs: AttemptInputs | None) -> str:
    """`/in/a.csv 12 B, /in/b.csv 4.1 GB, 3 more`; what is not known, `not known`."""
    if inputs is None or not inputs.is_known:
        return "not known"
    names = [f"{one.name} {bytes_text(one.size)}" for one in inputs.items]
    if inputs.rest or inputs.is_more:
        names.append(f"{inputs.rest:,} more of {bytes_text(inputs.rest_size)}" if inputs.rest else "others")
    return ", ".join(names) or "none"


def time_line(attempts: Sequence[Attempt], one: Attempt, now: float, width: int, style: str) -> list[Piece]:
    """When an attempt ran, on the line from the first start to the last end."""
    starts = [begun for attempt in attempts if (begun := seconds_of(attempt.started)) is not None]
    begun = seconds_of(one.started)
    if not starts or begun is None or width < 4:
        return [("", "")]
    first = min(starts)
    last = max((seconds_of(attempt.finished) or now) for attempt in attempts if attempt.started)
    span = max(last - first, 0.001)
    left = min(width - 1, int((begun - first) / span * width))
    right = max(left + 1, min(width, round(((seconds_of(one.finished) or now) - first) / span * width)))
    return [("─" * left, "muted"), ("━" * (right - left), style), ("─" * (width - right), "muted")]
