"""The list of jobs, trouble first: home. Also what is seen before there is anything: no server, no nodes, no jobs."""

import time
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical

from tui.background import begin
from tui.bindings import bindings
from tui.messages import OverviewChanged
from tui.model.jobs import SORTS, JobFilter, JobLine, sorted_lines, spark
from tui.model.link import LinkState
from tui.model.moments import countdown, counted, short_duration
from tui.places import Focus
from tui.screens.export import export
from tui.screens.job_map import JobMap
from tui.screens.page import Page
from tui.screens.spec import copy_spec
from tui.screens.welcome import no_jobs, no_nodes, no_server
from tui.widgets.lines import Lines, Piece, both_ends
from tui.widgets.stacked_bar import bar
from tui.widgets.table import Cell, Column, Table

COLUMNS = (
    Column(title="JOB", width=16, flexible=True, order="name"),
    Column(title="STATE", width=9, order="state"),
    Column(title="PROGRESS", width=10, flexible=True, order="progress"),
    Column(title="COMPLETED", width=15, right=True, drop=1, order="progress"),
    Column(title="FAILED", width=7, right=True, order="trouble"),
    Column(title="RETRY/min", width=14, drop=3),
    Column(title="ETA", width=7, right=True, drop=2),
    Column(title="AGE", width=6, right=True, drop=4, order="newest"),
    Column(title="OWNER", width=9, drop=5),
)
QUIET = 5.0
"""Seconds without a key before rows may change places."""
STATE_STYLES = {
    "Completed": "completed",
    "Failed": "failed",
    "Stopped": "stopped",
    "Running": "running",
    "Queued": "retrying",
    "Suspended": "stopped",
}


class JobsPage(Page, inherit_bindings=False):
    """The cursor follows the job, not the row."""

    BINDINGS = bindings("page", "jobs")
    DEFAULT_CSS = """
    JobsPage #map { height: 1; }
    JobsPage #about { height: 1; }
    JobsPage.-low #map { display: none; }
    JobsPage #welcome { height: 1fr; display: none; }
    JobsPage.-empty Table, JobsPage.-empty #map, JobsPage.-empty #about, JobsPage.-empty #status { display: none; }
    JobsPage.-empty #welcome { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.order = SORTS[0]
        self.filter = JobFilter()
        self._filter_text = ""
        self.rows: list[JobLine] = []
        self.marks: set[str] = set()
        """Ids of the jobs that keys act on; empty = on the one under the cursor."""
        self.map = JobMap(self)
        self._mark_from = ""
        self._last_key = 0.0
        self._has_news = False

    def content(self) -> ComposeResult:
        """Filter and order, the list, the job under the cursor: its map, and what is said of it."""
        with Vertical(id="body"):
            yield Lines(id="status")
            yield Table(COLUMNS, id="jobs")
            yield Lines(id="map")
            yield Lines(id="about")
            yield Lines(id="welcome")

    def crumbs(self) -> Sequence[str]:
        """Home."""
        return ("jobs",)

    @property
    def table(self) -> Table:
        """The list."""
        return self.query_one(Table)

    @property
    def line(self) -> JobLine | None:
        """The job under the cursor."""
        return self.rows[self.table.cursor] if self.rows else None

    def focus_now(self) -> Focus:
        """The job under the cursor."""
        line = self.line
        return Focus(job_id=line.id, job_name=line.name) if line else Focus()

    def jobs_now(self) -> list[JobLine]:
        """Those that are marked, else the one under the cursor."""
        marked = [line for line in self.rows if line.id in self.marks]
        return marked or ([self.line] if self.line else [])

    def on_mount(self) -> None:
        """Ages go on while nothing changes."""
        self.set_interval(2.0, self.table.refresh)

    def on_key(self) -> None:
        """Somebody is working here: rows stay where they are."""
        self._last_key = time.monotonic()

    def on_overview_changed(self, message: OverviewChanged) -> None:
        """Newer lines; in a new order only when nobody is working here."""
        super().on_overview_changed(message)
        self._has_news = True

    def sort_rows(self, *, is_forced: bool = True) -> None:
        """Take in the lines of the overview."""
        shown = {line.id: line for line in self.shoal.overview.lines.values() if self.filter.test(line)}
        here = self.line
        if is_forced or set(shown) != {line.id for line in self.rows}:
            self.rows = sorted_lines(shown.values(), self.order)
        else:
            self.rows = [shown[line.id] for line in self.rows]
        table = self.table
        self.marks &= shown.keys()
        table.show(len(self.rows), self.cells)
        if here is not None and here.id in shown:
            table.point(next(at for at, line in enumerate(self.rows) if line.id == here.id))
        self.paint()
        self.refresh_bindings()

    def cells(self, row: int) -> Sequence[Cell]:
        """A job."""
        line = self.rows[row]
        state = "Suspended" if line.is_suspended and not line.state.is_terminal else line.state.value
        mark: list[Piece] = [("✓ ", "key")] if line.id in self.marks else []
        app = self.shoal
        rates = app.overview.rates.of(line.id)
        left = app.overview.pace.left(line)
        retry: list[Piece] = []
        if not line.state.is_terminal and rates:
            retry = [(f"↻{rates[-1]:.0f} ", "retrying" if rates[-1] else "muted"), (spark(rates[-4:]), "retrying")]
        elif line.retries:
            retry = [(f"↻ {line.retries:,} in all", "muted")]
        return (
            [*mark, (line.name, "failed" if line.rank == 0 else "title" if not line.state.is_terminal else "")],
            [(state, STATE_STYLES.get(state, "muted"))],
            lambda width: bar(line.summary, width) if line.summary is not None else [("", "")],
            "" if line.summary is None else f"{line.completed:,}/{line.count:,}",
            [(f"✗{line.failed:,}", "failed")] if line.failed else [("0", "muted")],
            retry,
            "" if left is None else countdown(left),
            short_duration(max(0.0, app.wall() - line.created)).replace(".0s", "s"),
            line.owner,
        )

    def paint(self) -> None:
        """The lines around the list."""
        app = self.shoal
        if self._has_news:
            self._has_news = False
            self.sort_rows(is_forced=time.monotonic() - self._last_key > QUIET or not self.rows)
            return
        welcome = self._welcome()
        self.set_class(bool(welcome), "-empty")
        if welcome:
            self.query_one("#welcome", Lines).show(welcome)
            return
        total = len(app.overview.lines)
        left: list[Piece] = [(f" / {self._filter_text}", "key")] if self._filter_text else [("", "")]
        if self.marks:
            left.append((f" ✓ {counted(len(self.marks), 'job')} marked", "key"))
        more = "+" if app.overview.is_cut else ""
        right: list[Piece] = [(f"{len(self.rows)} of {total}{more} jobs   sort: {self.order} ▾ ", "muted")]
        self.query_one("#status", Lines).show([both_ends(left, right, self.size.width)])
        self._paint_job()

    def _paint_job(self) -> None:
        """The job under the cursor: its map; below that what is said of it. Where there are few lines, one of the two."""
        line = self.line
        self.map.look_at(line.id if line else "")
        text: list[Piece] = []
        if line is not None:
            text = [(f" {line.id[:10]}  ", "muted")]
            if line.message:
                text.append((line.message, "failed" if line.state.value == "Failed" else "muted"))
            else:
                counts = line.summary or {}
                text.append((", ".join(f"{number:,} {word.lower()}" for word, number in counts.items()), "muted"))
        cells = self.map.line()
        self.query_one("#map", Lines).show([cells])
        is_one = self.has_class("-low") and cells and line and (line.is_suspended or not line.message)
        self.query_one("#about", Lines).show([cells if is_one else text])

    def on_screen_suspend(self) -> None:
        """Under another screen nobody looks; beside a dialog one may."""
        if not self._is_seen():
            self.map.leave()

    def _welcome(self) -> list[list[Piece]]:
        """What is said while there is nothing to list."""
        app = self.shoal
        if not app.overview.is_known and (not app.link.has_connected or app.link.state is LinkState.REFUSED):
            return no_server(app.options, app.link, app.monotonic())
        if not app.overview.is_known:
            return []
        if not app.overview.lines:
            return no_jobs(app.options) if app.overview.nodes else no_nodes(app.options)
        return []

    # Filter, order

    def filter_text(self) -> str:
        """The filter in force."""
        return self._filter_text

    def take_filter(self, text: str) -> None:
        """Show only some jobs."""
        self.filter = JobFilter.parse(text)
        self._filter_text = text.strip()
        self.sort_rows()

    def clear_filter(self) -> bool:
        """Show all jobs, then take the marks away."""
        if self._filter_text:
            self.take_filter("")
            return True
        if not self.marks:
            return False
        self._mark(self.marks)
        return True

    def action_mark(self) -> None:
        """Mark the job under the cursor."""
        if self.line is not None:
            self._mark({self.line.id})

    def action_mark_range(self) -> None:
        """Mark from here; a second time: to here."""
        ids = [line.id for line in self.rows]
        if self._mark_from not in ids:
            self._mark_from = ids[self.table.cursor]
            self.shoal.tell(f"range from {self.rows[self.table.cursor].name}: go to its other end and press V again")
            return
        first, last = sorted((ids.index(self._mark_from), self.table.cursor))
        self._mark_from = ""
        self._mark(set(ids[first : last + 1]))

    def action_mark_all(self) -> None:
        """Mark all that are shown."""
        self._mark({line.id for line in self.rows})

    def _mark(self, jobs: set[str]) -> None:
        """Mark these jobs, or unmark them when all of them are."""
        self.marks = self.marks - jobs if jobs <= self.marks else self.marks | jobs
        self.table.refresh()
        self.paint()
        self.refresh_bindings()

    def action_sort(self) -> None:
        """The next order."""
        self.order = SORTS[(SORTS.index(self.order) + 1) % len(SORTS)]
        self.sort_rows()

    def on_table_sorted(self, message: Table.Sorted) -> None:
        """The order of the column whose title was clicked."""
        self.order = message.order
        self.sort_rows()

    # The job under the cursor

    def on_table_moved(self, _: Table.Moved) -> None:
        """Another job: the lines below are about it."""
        self._last_key = time.monotonic()
        self.paint()
        self.refresh_bindings()

    def on_table_opened(self, _: Table.Opened) -> None:
        """Open the job."""
        if self.line is not None:
            self.shoal.open_job(self.focus_now())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What acts on a job needs one; marks are for nothing else than acting."""
        if action in ("mark", "mark_range", "mark_all") and self.is_read_only:
            return False
        needs_rows = ("retry", "stop", "mark", "mark_range", "mark_all", "copy", "copy_spec", "compose_from", "save")
        if action in needs_rows and not self.rows:
            return False
        if action in ("sort", "filter") and not self.shoal.overview.lines:
            return False
        return super().check_action(action, parameters)

    def action_retry(self) -> None:
        """Retry the failed partitions of the jobs."""
        self.act_on_jobs("retry", self._acted)

    def action_stop(self) -> None:
        """Stop the jobs."""
        self.act_on_jobs("stop", self._acted)

    def action_hold(self, verb: str) -> None:
        """Suspend the jobs, or resume them."""
        self.act_on_jobs(verb, self._acted)

    def _acted(self, is_done: bool | None) -> None:  # noqa: FBT001 - what the dialog gives
        """The marks have done their work; look again at once."""
        if is_done:
            self.marks.clear()
            self.shoal.reconnect()

    def action_compose_new(self) -> None:
        """Compose a new job."""
        self.shoal.open("compose", Focus())

    def action_compose_from(self) -> None:
        """Compose a job like this one."""
        self.shoal.open("compose", self.focus_now())

    def action_copy(self) -> None:
        """Copy the id."""
        if self.line is not None:
            self.shoal.copy(self.line.id, "job id")

    def action_copy_spec(self) -> None:
        """Copy the specification as YAML."""
        if self.line is not None:
            begin(self, "spec", copy_spec, self.shoal, self.line.id)

    def action_save(self) -> None:
        """Write the list as CSV."""
        self._export("csv")

    def action_save_json(self) -> None:
        """Write the list as JSON."""
        self._export("json")

    def _export(self, kind: str) -> None:
        rows = [
            {
                "id": line.id,
                "name": line.name,
                "state": line.state.value,
                "count": line.count,
                "completed": line.completed,
                "failed": line.failed,
                "owner": line.owner,
                "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(line.created)),
            }
            for line in self.rows
        ]
        export(self.shoal, kind, "shoal-jobs", rows, counted(len(rows), "job"))
