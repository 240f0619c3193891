"""What happened: to one job, or in the whole cluster; the newest at the end, followed until one looks further up."""

from collections.abc import Mapping, Sequence

from orchestrator.client import ClientError
from orchestrator.contract.history import Level
from orchestrator.contract.ids import JobId, NodeId, short
from orchestrator.contract.overview import ClusterEvent
from tui.bindings import bindings
from tui.model.moments import clock, seconds_of
from tui.places import Focus
from tui.screens.list_page import ListPage
from tui.screens.reader import Reader
from tui.widgets.lines import Piece
from tui.widgets.table import Cell, Column, Table

MOST = 5_000
"""Events that are kept: of more, the newest."""
PAGE = 1_000


class EventsPage(ListPage[ClusterEvent], inherit_bindings=False):
    """With a job in focus that job's; else the cluster's, or, where an orchestrator has none, its jobs' newest."""

    BINDINGS = bindings("page", "list", "events")
    NOUN = "event"
    EMPTY = "nothing happened yet"
    PERIOD = 2.0
    COLUMNS = (
        Column(title="TIME", width=9),
        Column(title="JOB", width=14, drop=3),
        Column(title="WHERE", width=14, drop=2),
        Column(title="TOPIC", width=16, drop=1),
        Column(title="WHAT", width=20, flexible=True),
    )

    def __init__(self, focus: Focus) -> None:
        super().__init__(focus)
        self.is_following = True
        self.only_trouble = False
        self._token = ""
        self._cursor = ""
        self._seen: list[ClusterEvent] = []

    def crumbs(self) -> Sequence[str]:
        """Of what."""
        return ("jobs", self.at.job_name or self.at.job_id, "events") if self.at.job_id else ("events",)

    async def fetch(self) -> list[ClusterEvent]:
        """Everything so far; only what is new is asked for."""
        await (self._ask_job() if self.at.job_id else self._ask_cluster())
        self._seen = self._seen[-MOST:]
        return [event for event in self._seen if not self.only_trouble or is_trouble(event)]

    async def _ask_job(self) -> None:
        while True:
            found = await self.shoal.client.history(
                self.at.job_id, all_versions=True, limit=PAGE, next_token=self._token
            )
            last = self._seen[-1].details.get("seq", "0") if self._seen else "0"
            for line in found.items:
                if line.seq_num > int(last):
                    self._seen.append(
                        ClusterEvent(
                            time=line.time or line.event.timestamp,
                            type=line.type,
                            topic=line.event.topic,
                            message=line.event.message,
                            job_id=line.job_id,
                            job_name=self.at.job_name,
                            job_version=line.job_version,
                            execution_id=line.execution_id,
                            node_id=NodeId(line.event.details.get("NodeID", "")),
                            details={**line.event.details, "seq": str(line.seq_num)},
                        )
                    )
            if not found.next_token or not found.items:
                return
            self._token = found.next_token

    async def _ask_cluster(self) -> None:
        try:
            while True:
                found = await self.shoal.client.events(after=self._cursor, limit=PAGE)
                self._seen += found.items
                self._cursor = found.cursor
                if len(found.items) < PAGE:
                    return
        except ClientError as error:
            if not error.is_missing_route and error.status != 405:
                raise
            message = "this orchestrator tells no events of the whole cluster; v on a job shows that job's"
            raise ClientError(message, code=error.code, status=error.status) from error

    def take(self, rows: list[ClusterEvent]) -> None:
        """Stay at the newest while following."""
        grew = len(rows) != len(self.all)
        super().take(rows)
        if self.is_following and grew and self.rows:
            self.table.point(len(self.rows) - 1)
            self.call_after_refresh(lambda: self.table.point(len(self.rows) - 1))

    def key(self, row: ClusterEvent) -> str:
        """What tells events apart."""
        return f"{row.time} {row.job_id} {row.execution_id} {row.details.get('seq', '')} {row.message}"

    def plain(self, row: ClusterEvent) -> Mapping[str, object]:
        """For saving and filtering."""
        return {
            "time": row.time,
            "job": row.job_name or row.job_id,
            "job id": row.job_id,
            "version": row.job_version,
            "execution": row.execution_id,
            "partition": "" if row.partition is None else row.partition,
            "node": row.node_id,
            "topic": row.topic,
            "message": row.message,
            **{f"detail {name}": value for name, value in row.details.items() if name != "seq"},
        }

    def headline(self) -> list[Piece]:
        """Whether it follows."""
        pieces: list[Piece] = [(" FOLLOW ▼", "key")] if self.is_following else [("", "")]
        if self.only_trouble:
            pieces.append(("  only what went wrong", "running"))
        return pieces

    def cells(self, row: int) -> Sequence[Cell]:
        """An event."""
        event = self.rows[row]
        at = seconds_of(event.time)
        is_bad = is_trouble(event)
        return (
            [(clock(at) if at else "", "muted")],
            event.job_name or (short(event.job_id) if event.job_id else ""),
            [(place(event), "muted")],
            [(event.topic, "failed" if is_bad else "key")],
            [(event.message, "failed" if is_bad else "")],
        )

    # Keys

    def focus_now(self) -> Focus:
        """What the event is about."""
        row = self.row
        if row is None:
            return self.at
        job = row.job_id or JobId(self.at.job_id)
        partition = -1 if row.partition is None else row.partition
        return Focus(job_id=job, job_name=row.job_name, partition=partition, node_id=row.node_id)

    def on_table_moved(self, _: Table.Moved) -> None:
        """Further up: no longer following; at the end: again."""
        self.is_following = self.table.cursor >= len(self.rows) - 1
        self.paint()

    def on_table_opened(self, _: Table.Opened) -> None:
        """All of it."""
        row = self.row
        if row is not None:
            lines: list[list[Piece]] = [
                [(f"{name:<22} ", "muted"), (str(value), "")]
                for name, value in self.plain(row).items()
                if value not in ("", 0)
            ]
            self.shoal.cover(Reader("event", lines))

    def action_follow(self) -> None:
        """Stay at the newest."""
        self.is_following = not self.is_following
        if self.is_following and self.rows:
            self.table.point(len(self.rows) - 1)
        self.paint()

    def action_trouble(self) -> None:
        """Only what went wrong, or everything."""
        self.only_trouble = not self.only_trouble
        self.take([event for event in self._seen if not self.only_trouble or is_trouble(event)])
        self.order_rows()
        self.paint()


def is_trouble(event: ClusterEvent) -> bool:
    """Whether somebody should look at it."""
    details = event.details
    return details.get("IsError") == "true" or details.get("NewState", "") in ("Failed", "Lost") or "Cause" in details


def place(event: ClusterEvent) -> str:
    """`412 n-07`: the partition, or the execution, and the node."""
    parts = []
    if event.partition is not None:
        parts.append(str(event.partition))
    elif event.type is Level.EXECUTION and event.execution_id:
        parts.append(short(event.execution_id))
    if event.node_id:
        parts.append(event.node_id)
    return " ".join(parts)
