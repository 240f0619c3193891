"""`:find TEXT`: which partitions had an input of that name, and which logs have the text; asked of the orchestrator, once."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from orchestrator.client import ClientError
from orchestrator.contract.partitions import PartitionState
from tui.bindings import bindings
from tui.places import Focus
from tui.screens.list_page import ListPage
from tui.screens.log import LogPage
from tui.widgets.lines import Piece
from tui.widgets.table import Cell, Column, Table

MOST = 1_000
"""Partitions by input, and lines of logs."""
STYLES = {state.word: state.word for state in PartitionState}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A partition that had such an input, or a line of a log."""

    kind: str
    """`input` or `log`."""
    partition: int
    attempt: int = 0
    state: str = ""
    text: str = ""


class FindPage(ListPage[Found], inherit_bindings=False):
    """Inputs first. Enter opens the partition, or the log at that line."""

    BINDINGS = bindings("page", "list", "find")
    NOUN = "hit"
    EMPTY = "nothing has it"
    PERIOD = 3600.0
    COLUMNS = (
        Column(title="IN", width=6),
        Column(title="PARTITION", width=9, right=True),
        Column(title="STATE", width=11, drop=1),
        Column(title="TEXT", width=20, flexible=True),
    )

    def __init__(self, focus: Focus) -> None:
        super().__init__(focus)
        self.text = focus.argument
        self.said = ""

    def crumbs(self) -> Sequence[str]:
        """The job, and what is looked for."""
        return ("jobs", self.at.job_name or self.at.job_id, f"find {self.text}")

    async def fetch(self) -> list[Found]:
        """Inputs, then logs."""
        if not self.text:
            message = "find what? :find TEXT"
            raise ClientError(message, code="BadRequest", status=400)
        client, job = self.shoal.client, self.at.job_id
        quoted = self.text.replace("\\", "\\\\").replace('"', '\\"')
        rows = (await client.rows(job, f'input~"{quoted}"', limit=MOST)).items
        found = [
            Found(kind="input", partition=row.index, state=row.state, text=row.message or "had such an input")
            for row in rows
        ]
        try:
            lines = await client.search_logs(job, self.text, limit=MOST)
        except ClientError as error:
            self.said = f"logs: {error.message}"
            return found
        self.said = f"{lines.searched:,} of {lines.selected:,} logs searched" + (
            f", cut by {lines.cut}" if lines.cut else ""
        )
        return found + [
            Found(kind="log", partition=line.partition, attempt=line.attempt, text=line.text) for line in lines.items
        ]

    def headline(self) -> list[Piece]:
        """How far the search went."""
        return [(f" {self.said}", "muted")]

    def key(self, row: Found) -> str:
        """What tells hits apart."""
        return f"{row.kind} {row.partition} {row.text}"

    def plain(self, row: Found) -> Mapping[str, object]:
        """For saving and filtering."""
        return msgspec.structs.asdict(row)

    def cells(self, row: int) -> Sequence[Cell]:
        """A hit."""
        found = self.rows[row]
        return (
            [(found.kind, "key")],
            str(found.partition),
            [(found.state.capitalize(), STYLES.get(found.state, ""))],
            [(found.text, "")],
        )

    def focus_now(self) -> Focus:
        """Its partition."""
        row = self.row
        if row is None:
            return Focus(job_id=self.at.job_id, job_name=self.at.job_name)
        return Focus(job_id=self.at.job_id, job_name=self.at.job_name, partition=row.partition, attempt=row.attempt)

    def on_table_opened(self, _: Table.Opened) -> None:
        """The partition, or the log at that line."""
        row = self.row
        if row is None:
            return
        if row.kind == "input":
            self.shoal.open("partition", self.focus_now())
            return
        page = LogPage(self.focus_now())
        page.needle = re.escape(self.text)
        self.shoal.cover(page)

    def action_log(self) -> None:
        """Its log."""
        if self.row is not None:
            self.shoal.open("log", self.focus_now())
