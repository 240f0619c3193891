"""One job: every partition in one picture, and what is known of the one under the cursor."""

import contextlib
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from orchestrator.client import ClientError
from orchestrator.contract.partitions import PartitionDetail, state_word
from orchestrator.contract.selection import format_ranges
from tui.background import begin
from tui.bindings import bindings
from tui.feed import JobView
from tui.model.cells import badness
from tui.model.job import JobModel, Lens
from tui.model.link import LinkState
from tui.places import Focus
from tui.screens.acting import ActDialog, Deed
from tui.screens.job_caption import caption
from tui.screens.job_source import JobSource
from tui.screens.job_table import COLUMNS, PartitionRows
from tui.screens.page import Page
from tui.screens.spec import copy_spec
from tui.widgets.inspector import Inspector, attempt_lines, attempts_line, cell_line, error_line, partition_line
from tui.widgets.lines import Lines
from tui.widgets.partition_grid import PartitionGrid
from tui.widgets.stacked_bar import StackedBar
from tui.widgets.table import Table

LENSES = tuple(Lens)


class JobPage(Page, inherit_bindings=False):
    """Follows the job while it is open. Keys act on the inspector's partition, the cell, or the marks."""

    BINDINGS = bindings("page", "job")
    AUTO_FOCUS = "#grid"
    DEFAULT_CSS = """
    JobPage #caption { height: 1; }
    JobPage #grid { height: 1fr; }
    JobPage #partitions { height: 1fr; display: none; }
    JobPage.-table #grid { display: none; }
    JobPage.-table #partitions { display: block; }
    JobPage #divider { height: 1; }
    """

    def __init__(self, focus: Focus) -> None:
        super().__init__(focus)
        self.view = JobView()
        self.model = JobModel(self.view)
        self.pinned = max(0, focus.partition)
        """The partition that the inspector shows and keys act on."""
        self.detail: PartitionDetail | None = None
        self.is_loaded = False
        self.wants_detail = False
        self._mark_from: int | None = None
        self.problem = ""
        self.source = JobSource(self)

    def content(self) -> ComposeResult:
        """Counts and bar, grid or table, inspector."""
        with Vertical(id="body"):
            yield StackedBar(id="bar")
            yield Lines(id="caption")
            with Container(id="main"):
                yield PartitionGrid(self.model)
                yield Table(COLUMNS, id="partitions", empty="no partition matches")
                with Vertical(id="side"):
                    yield Lines(id="divider")
                    yield Inspector(id="inspector")

    def crumbs(self) -> Sequence[str]:
        """The job's name."""
        return ("jobs", self.at.job_name or self.at.job_id)

    @property
    def grid(self) -> PartitionGrid:
        """The picture."""
        return self.query_one(PartitionGrid)

    def focus_now(self) -> Focus:
        """The inspector's partition."""
        node = self.view.node_of(self.pinned) if self.pinned < self.view.count else ""
        return Focus(
            job_id=self.view.job_id or self.at.job_id,
            job_name=self.at.job_name,
            partition=self.pinned if self.is_loaded else -1,
            node_id=node,
        )

    # The feed

    def on_mount(self) -> None:
        """Begin to follow."""
        self.rows = PartitionRows(self)
        self.reconnect()
        self.set_interval(0.2, self._look_closer)
        self.set_interval(2.0, self._learn)

    def reconnect(self) -> None:
        """Follow from now on; what was on the way is given up."""
        begin(self, "job", self.source.follow)

    def loaded(self) -> None:
        """A snapshot arrived: at first put the cursor where the trouble is."""
        grid = self.grid
        if self.is_loaded:
            if grid.is_fitted:
                grid.fit()
            else:
                grid.lay_out()
        else:
            self.is_loaded = True
            self._name_it()
            grid.fit()
            start = self.at.partition if self.at.partition >= 0 else self.model.next_trouble(-1, 1)
            self.pinned = min(start or 0, max(0, self.view.count - 1))
            grid.place(self.pinned)
        self.wants_detail = True
        self.rows.update()
        self.refresh_bindings()
        self.paint()
        self._learn()

    def _name_it(self) -> None:
        if (line := self.shoal.overview.lines.get(self.view.job_id)) is not None:
            self.at = Focus(job_id=line.id, job_name=line.name, partition=self.at.partition)
            self.show_header()

    async def _fetch_detail(self) -> None:
        with contextlib.suppress(ClientError):
            self.detail = await self.shoal.client.partition(self.view.job_id, self.pinned)
            self.show_inspector()

    def _look_closer(self) -> None:
        """Ask for the inspector's partition when it changed, at most five times a second."""
        if self.wants_detail and self.is_loaded and self._is_seen() and self.view.count:
            self.wants_detail = False
            begin(self, "inspector", self._fetch_detail)

    def _learn(self) -> None:
        """Failure groups, and what a filter takes that only the server can tell."""
        if not self.is_loaded or not self._is_seen():
            return
        if self.view.summary.get("Failed", 0) or self.model.retries():
            begin(self, "failures", self.source.learn)
        if self.model.mask is not None and not self.model.mask_is_local and self.model.mask_is_stale:
            self.source.ask_filter()
        if self.model.lens is Lens.DURATION or self.has_class("-table"):
            self.source.ask_times()

    # Painting

    def paint(self) -> None:
        """What changed since the last time."""
        if not self.is_attached:
            return
        grid = self.grid
        grid.fade(is_faded=self.shoal.link.look(self.shoal.monotonic()) in (LinkState.OFFLINE, LinkState.STALE))
        changed = grid.flush(self.shoal.terminal.lines)
        known = self.shoal.overview.lines.get(self.view.job_id)
        retries = self.model.retries() if known is None or known.retries is None else known.retries
        self.query_one(StackedBar).tell(self.view.summary, f"retries {retries:,}" if retries else "")
        for name, line in (("#caption", caption(self)), ("#divider", [("─" * self.size.width, "muted")])):
            self.query_one(name, Lines).show([line])
        if self.has_class("-table"):
            self.rows.repaint(is_changed=changed > 0)
        self.show_inspector()

    def show_inspector(self) -> None:
        """The pinned partition, and the cell that it is in."""
        if not self.is_loaded or not self.view.count:
            return
        first, last = self.model.level.span(self.pinned // self.model.scale)
        counts = self.model.counts_between(first, last)
        state = self.view.states[self.pinned]
        worse = sum(1 for byte in self.view.states[first:last] if badness(byte) > badness(state))
        now = self.shoal.wall()
        detail = self.detail if self.detail and self.detail.partition.index == self.pinned else None
        own = partition_line(self.pinned, state_word(state), detail, now)
        cell = [cell_line(first, last - 1, counts, worse=worse)] if last - first > 1 else []
        error = error_line(detail, self._same_group()) if detail is not None else []
        if self.is_wide:
            lines = [*cell, own, error, [], *(attempt_lines(detail, now) if detail else ())]
        elif self.app.size.height < 30:
            lines = [own, *([error] if error else cell)]
        else:
            lines = [*cell, own, *((attempts_line(detail, now), error) if detail else ())]
        self.query_one(Inspector).show(lines)

    @property
    def is_wide(self) -> bool:
        """Whether the inspector stands beside the grid."""
        return self.app.size.width >= 160

    def _same_group(self) -> int:
        if self.pinned < len(self.model.group_of):
            at = self.model.group_of[self.pinned]
            if at:
                return self.model.groups[at - 1].count
        return 0

    # The cursor

    def on_partition_grid_moved(self, _: PartitionGrid.Moved) -> None:
        """Another cell: the worst of it is pinned, unless what is pinned lies in it."""
        cell = self.grid.cursor
        if self.pinned // self.model.scale != cell:
            self.pin(self.model.worst(cell))

    def pin(self, index: int) -> None:
        """Show this partition in the inspector, and act on it."""
        self.pinned = index
        self.detail = None
        self.wants_detail = True
        self.show_inspector()

    def jump(self, index: int) -> None:
        """Go to a partition. Raises ValueError where the job has none of that index."""
        if not 0 <= index < self.view.count:
            there = f"0 to {self.view.count - 1}" if self.view.count else "none"
            message = f"partition {index}: the job has {there}"
            raise ValueError(message)
        self.pin(index)
        self.grid.place(index)
        self.rows.point(index)

    def on_partition_grid_opened(self) -> None:
        """Zoom in; at one partition a cell open it."""
        if self.model.scale > 1:
            self.action_zoom(-1)
        elif self.view.count:
            self.shoal.open("partition", self.focus_now())

    def on_table_opened(self) -> None:
        """Open the partition of the row."""
        self.shoal.open("partition", self.focus_now())

    def on_table_moved(self) -> None:
        """The row's partition is pinned."""
        index = self.rows.index()
        if index is not None and index != self.pinned:
            self.pin(index)
            self.grid.place(index)

    def action_next(self, step: int) -> None:
        """The next failed partition, or match of the filter."""
        self._go(
            self.model.next_trouble(self.pinned, step), "nothing failed" if self.model.mask is None else "no match"
        )

    def action_next_unfinished(self, step: int) -> None:
        """The next partition that is not finished, longest first."""
        begin(self, "unfinished", self._walk_unfinished, step)

    async def _walk_unfinished(self, step: int) -> None:
        await self.source.learn_times()
        self._go(self.model.next_unfinished(self.pinned, step), "everything is finished")

    def _go(self, index: int | None, nothing: str) -> None:
        if index is None:
            return self.shoal.tell(nothing)
        return self.jump(index)

    def action_zoom(self, step: int) -> None:
        """Finer, coarser, or all of it."""
        grid = self.grid
        if step == 0:
            grid.fit()
            grid.place(self.pinned)
        else:
            grid.cursor = self.pinned // self.model.scale
            grid.zoom(step)
        self.paint()

    def action_lens(self, number: int) -> None:
        """Colour by something else."""
        self.model.look_through(LENSES[number])
        if self.model.lens is Lens.DURATION:
            self.source.ask_times()
        self.paint()

    # Filter, marks, table

    def filter_text(self) -> str:
        """The filter in force."""
        return self.model.filter_text

    def take_filter(self, text: str) -> None:
        """Dim what does not match."""
        self.model.select(text)
        if self.model.mask is not None and not self.model.mask_is_local:
            self.source.ask_filter()
        self.rows.update()
        self.paint()

    def clear_filter(self) -> bool:
        """Clear the filter, then the marks."""
        if self.model.filter_text:
            self.take_filter("")
            return True
        if self.model.marks:
            self.model.unmark()
            self.paint()
            return True
        return False

    def action_mark(self) -> None:
        """Mark the cell, in the table the row."""
        self.model.mark([self.pinned] if self.has_class("-table") else range(*self.model.level.span(self.grid.cursor)))
        self.paint()

    def action_mark_range(self) -> None:
        """Mark from here; a second time: to here."""
        if self._mark_from is None:
            self._mark_from = self.pinned
            self.shoal.tell(f"range from {self.pinned}: go to its other end and press V again")
            return
        first, last = sorted((self._mark_from, self.pinned))
        self._mark_from = None
        self.model.mark(range(first, last + 1))
        self.paint()

    def action_mark_all(self) -> None:
        """Mark what the filter takes."""
        self.model.mark(self.model.matches())
        self.paint()

    def action_table(self) -> None:
        """The table, or the grid again."""
        self.toggle_class("-table")
        is_table = self.has_class("-table")
        if is_table:
            self.source.ask_times()
        self.rows.update()
        self.rows.point(self.pinned)
        (self.query_one("#partitions") if is_table else self.grid).focus()

    def action_sort(self) -> None:
        """The next order of the table."""
        self.rows.sort()

    def on_table_sorted(self, message: Table.Sorted) -> None:
        """The order of the column whose title was clicked."""
        self.rows.sort(message.order)

    # Going on from here

    def action_log(self) -> None:
        """The log of the inspector's partition."""
        if self.is_loaded and self.view.count:
            self.shoal.open("log", self.focus_now())

    def action_why(self) -> None:
        """Why partitions wait."""
        from tui.screens.why import WhyReader  # noqa: PLC0415 - seldom asked for

        self.shoal.cover(WhyReader(self.shoal.client, self.focus_now()))

    def action_copy(self) -> None:
        """The id of the execution."""
        execution = self.detail.partition.execution_id if self.detail else ""
        self.shoal.copy(execution or self.view.job_id, "execution id" if execution else "job id")

    def action_copy_spec(self) -> None:
        """The job as YAML."""
        begin(self, "spec", copy_spec, self.shoal, self.view.job_id)

    def action_save(self) -> None:
        """The partitions as CSV."""
        self.rows.export("csv")

    def action_save_json(self) -> None:
        """The partitions as JSON."""
        self.rows.export("json")

    def action_retry(self) -> None:
        """Retry the target."""
        self._act("retry")

    def action_stop(self) -> None:
        """Stop the target."""
        self._act("stop")

    def _act(self, verb: str) -> None:
        if not self.is_loaded or not self.view.count:
            return
        select, scope = self._target()
        self.shoal.cover(ActDialog(Deed(verb=verb, focus=self.focus_now(), select=select, scope=scope)))

    def _target(self) -> tuple[str, str]:
        """Marks, else at one partition a cell the inspector's, at coarser zoom the cell."""
        if self.model.marks:
            return format_ranges(self.model.marks), f"{len(self.model.marks):,} marked partitions"
        if self.model.scale == 1 or self.has_class("-table"):
            return str(self.pinned), f"partition {self.pinned}"
        first, last = self.model.level.span(self.grid.cursor)
        return f"{first}-{last - 1}", f"cell {first:,}…{last - 1:,}"
