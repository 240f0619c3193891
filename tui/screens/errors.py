"""Failures of a job, grouped by what went wrong: the largest first, each to be looked at, read and retried as one."""

from collections.abc import Mapping, Sequence

from orchestrator.contract.partitions import FailureGroup
from tui.bindings import bindings
from tui.model.failures import cause_text, map_of, report, where
from tui.model.moments import clock, counted, seconds_of
from tui.places import Focus
from tui.screens.acting import ActDialog, Deed
from tui.screens.list_page import ListPage
from tui.screens.log import job_page
from tui.widgets.lines import Piece
from tui.widgets.retry_fields import Hint
from tui.widgets.table import Cell, Column, Table


class ErrorsPage(ListPage[FailureGroup], inherit_bindings=False):
    """Keys act on the group under the cursor."""

    BINDINGS = bindings("page", "list", "errors")
    NOUN = "failure group"
    EMPTY = "nothing failed"
    ORDERS = ("count", "cause", "message")
    COLUMNS = (
        Column(title="COUNT", width=7, right=True, order="count"),
        Column(title="WHY", width=12, order="cause"),
        Column(title="MESSAGE", width=20, flexible=True, order="message"),
        Column(title="WHERE", width=20, drop=1),
        Column(title="IN THE JOB", width=20, drop=3),
        Column(title="LAST ON", width=12, drop=2),
        Column(title="AT", width=9, drop=4),
    )

    def __init__(self, focus: Focus) -> None:
        super().__init__(focus)
        self._stood: tuple[object, ...] | None = None
        """What the job's groups depend on, as it was when they were asked for last."""

    def reconnect(self) -> None:
        """Ask in any case."""
        self._stood = None
        super().reconnect()

    def crumbs(self) -> Sequence[str]:
        """Job, errors."""
        return ("jobs", self.at.job_name or self.at.job_id, "errors")

    async def fetch(self) -> list[FailureGroup] | None:
        """The groups, when the cluster's watch told of a change of the job; of one that it does not tell of, every time."""
        overview = self.shoal.overview
        line = overview.lines.get(self.at.job_id)
        stands = (line.failed, line.retries, line.state) if line is not None and overview.is_told else None
        if stands is not None and stands == self._stood:
            return None
        found = list((await self.shoal.client.failures(self.at.job_id)).items)
        self._stood = stands
        return found

    def key(self, row: FailureGroup) -> str:
        """The group's name."""
        return row.group

    def plain(self, row: FailureGroup) -> Mapping[str, object]:
        """For saving and filtering."""
        return {
            "count": row.count,
            "cause": cause_text(row),
            "message": row.message,
            "partitions": row.partitions,
            "node": row.sample.node_id,
            "finished": row.sample.finished,
            "group": row.group,
        }

    @property
    def count(self) -> int:
        """Partitions of the job, as far as is known."""
        line = self.shoal.overview.lines.get(self.at.job_id)
        if line is not None:
            return line.count
        page = job_page(self)
        return page.view.count if page is not None else 0

    def paint(self) -> None:
        """The line, and what an empty list means: the groups may come later than the number."""
        super().paint()
        line = self.shoal.overview.lines.get(self.at.job_id)
        if self.is_known and not self.rows and self.is_attached:
            self.table.empty = "what failed is not known yet" if line is not None and line.failed else self.EMPTY

    def headline(self) -> list[Piece]:
        """How bad it is."""
        if not self.is_known:
            return []
        line = self.shoal.overview.lines.get(self.at.job_id)
        pieces: list[Piece] = []
        if line is not None:
            pieces.append((f" {line.failed:,} failed", "failed" if line.failed else "muted"))
            if line.retries:
                noun = "retry" if line.retries == 1 else "retries"
                pieces.append((f"  {line.retries:,} {noun} absorbed", "retrying"))
        return pieces

    def cells(self, row: int) -> Sequence[Cell]:
        """A group."""
        group = self.rows[row]
        ended = seconds_of(group.sample.finished)
        return (
            [(f"{group.count:,}", "failed")],
            cause_text(group),
            [(group.message or "no message", "" if group.message else "muted")],
            [(where(group), "muted")],
            lambda width: self._map(group, width),
            [(group.sample.node_id, "muted")],
            [(clock(ended) if ended else "", "muted")],
        )

    def _map(self, group: FailureGroup, width: int) -> list[Piece]:
        if not self.count:
            return [("", "")]
        shares = map_of(group, self.count, min(width, self.count))
        return [
            ("·" if not share else "X" if share > 0.75 else "✗", "failed" if share else "waiting") for share in shares
        ]

    # Keys

    def focus_now(self) -> Focus:
        """The sample of the group under the cursor."""
        row = self.row
        if row is None:
            return Focus(job_id=self.at.job_id, job_name=self.at.job_name)
        return Focus(
            job_id=self.at.job_id,
            job_name=self.at.job_name,
            partition=row.sample.index,
            node_id=row.sample.node_id,
        )

    def on_table_opened(self, _: Table.Opened) -> None:
        """The grid with only this group lit."""
        row = self.row
        if row is None:
            return
        page = job_page(self)
        if page is not None:
            while self.app.screen is not page:
                self.shoal.go_back()
            page.take_filter(f"group:{row.group}")
            page.jump(row.sample.index)
            return
        focus = Focus(
            job_id=self.at.job_id,
            job_name=self.at.job_name,
            partition=row.sample.index,
            argument=f"group:{row.group}",
        )
        self.shoal.open("matches", focus)

    def action_log(self) -> None:
        """The log of the sample."""
        if self.row is not None:
            self.shoal.open("log", self.focus_now())

    def action_retry(self) -> None:
        """Retry the group."""
        row = self.row
        if row is None:
            return
        deed = Deed(
            verb="retry",
            focus=self.at,
            select=f"group:{row.group}",
            scope=f"{counted(row.count, 'partition')} with {cause_text(row)}: {row.message}",
            hint=Hint(cause=row.cause, node=row.sample.node_id),
        )
        self.shoal.cover(ActDialog(deed), lambda _: self.ask())

    def action_copy(self) -> None:
        """All groups as a report."""
        self.shoal.copy(report(self.at.job_name or self.at.job_id, self.rows), "failure report")
