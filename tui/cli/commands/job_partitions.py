"""`job partitions`, `job failures`, `job explain`: where partitions stand, and why."""

from typing import TYPE_CHECKING, Any

import click

from orchestrator.contract.selectors import Selection
from tui.cli.context import Context, named
from tui.cli.diagnostics import UsageError
from tui.cli.listing import Column, TableOptions, show_list, show_object
from tui.cli.options import job_argument, limit_option, namespace_option, object_options, table_options
from tui.cli.printable import counted, printable
from tui.cli.progress import GLYPHS, counts, header, why

if TYPE_CHECKING:
    from orchestrator.client import OrchestratorClient
    from orchestrator.contract.partitions import Explanations, Row, Rows
    from tui.feed import JobView

EVERY = "0-999999"
"""The selection of all partitions."""
PAGE = 10_000
FEW = 20
"""Up to so many partitions are shown as rows unless a selection asks for rows."""
GRID_WIDTH = 100
"""Partitions in a line of the grid, on a terminal that is wide enough."""
COLUMNS = ("Partition", "State", "Attempts", "Node", "Started", "Finished", "Exit", "Reason")


def checked_selection(select: str) -> str:
    """A selection that the grammar takes. Raises UsageError."""
    try:
        Selection.parse(select)
    except ValueError as error:
        message = f"--select: {error}"
        raise UsageError(message) from error
    return select


@click.command()
@job_argument
@namespace_option
@click.option(
    "--select", default="", metavar="S", help="Rows of these: failed, 3-9,12, node:n1, attempt>1, err~TEXT, ..."
)
@limit_option
@table_options
@click.pass_obj
def partitions(context: Context, /, job: str, namespace: str, select: str, limit: int | None, **table: Any) -> None:
    """Show where every partition stands: up to 20 as rows, more as a picture; with --select always as rows."""
    options = TableOptions(**table)
    context.run(_partitions(context, job, namespace, checked_selection(select), limit, options))


async def _partitions(
    context: Context, job: str, namespace: str, select: str, limit: int | None, options: TableOptions
) -> None:
    from tui.feed import JobView

    async with context.client(namespace) as client:
        wanted = await named(client, job, context.settings.instance_id())
        is_picture = not select and not context.wants_json and options.output is None and limit is None
        if is_picture:
            view = JobView()
            view.load(await client.grid(wanted))
            context.output.line(header(view))
            if view.count > FEW:
                show_grid(context, view)
                return
        rows = await every_row(client, wanted, select or EVERY, limit or 0)
        if select and not rows.items and not context.wants_json and options.output is None:
            context.output.line(f"0 partitions match {printable(select)!r}")
            return
        show_rows(context, rows, options)


def show_grid(context: Context, view: "JobView") -> None:
    """A sign a partition, with the index of the first of each line, and what the signs mean."""
    from orchestrator.contract.partitions import state_word

    output = context.output
    label = len(str(view.count))
    width = min(GRID_WIDTH, max(10, (output.width - label - 2) // 10 * 10)) if output.is_terminal else GRID_WIDTH
    signs = [GLYPHS[state_word(state)] for state in view.states]
    for first in range(0, view.count, width):
        output.line(f"{first:>{label}}  {''.join(signs[first : first + width])}")
    output.line(f"{view.job_state}: {counts(view)}")
    output.line("✓ completed  ✗ failed  ↻ retrying  ▶ running  ○ assigned  · waiting  □ stopped")


async def every_row(client: "OrchestratorClient", job: str, select: str, limit: int = 0) -> "Rows":
    """The rows of a selection (0 = all), read in pages."""
    from orchestrator.contract.partitions import Rows

    items: list[Row] = []
    token = ""
    while True:
        size = min(PAGE, limit - len(items)) if limit else PAGE
        page = await client.rows(job, select, limit=size, next_token=token)
        items += page.items
        token = page.next_token
        if not token or (limit and len(items) >= limit):
            return Rows(next_token=token, items=tuple(items))


def show_rows(context: Context, rows: "Rows", options: TableOptions) -> None:
    """Rows as a table, or as asked for."""
    column = Column(context.output, is_wide=options.wide)
    cells = [row_cells(row, column) for row in rows.items]
    show_list(context, options, COLUMNS, cells, body=rows)


def row_cells(row: "Row", column: Column) -> tuple[str, ...]:
    """The cells of a partition."""
    return (
        str(row.index),
        row.state,
        str(row.attempts),
        column.id(row.node_id),
        column.time(row.started),
        column.time(row.finished),
        "" if row.exit_code is None else str(row.exit_code),
        why(row.cause, row.exit_code, row.message) if row.cause else row.message,
    )


@click.command()
@job_argument
@namespace_option
@object_options
@click.pass_obj
def failures(context: Context, /, job: str, namespace: str, output: str | None, *, pretty: bool) -> None:
    """Show failed attempts grouped by cause, exit code and message, the largest group first."""
    context.run(_failures(context, job, namespace, output, pretty=pretty))


async def _failures(context: Context, job: str, namespace: str, output: str | None, *, pretty: bool) -> None:
    async with context.client(namespace) as client:
        wanted = await named(client, job, context.settings.instance_id())
        found = await client.failures(wanted)
    if show_object(context, found, output, pretty=pretty, key="Items"):
        return
    out = context.output
    if not found.items:
        out.line("No partition has failed")
    for group in found.items:
        sample = group.sample
        out.line(f"{counted(group.count, 'partition')}: {why(group.cause, group.exit_code, sample.message)}")
        out.line(f"  partitions  {group.partitions}")
        out.line(f"  for example partition {sample.index}, attempt {sample.attempts} on {printable(sample.node_id)}")
        out.line(f"  its log     shoal job logs {printable(wanted)} --select {sample.index}")
        out.line(f"  again       shoal job retry {printable(wanted)} --select group:{printable(group.group)}")


@click.command()
@job_argument
@namespace_option
@click.option("--select", default="", metavar="S", help="Only of these partitions.")
@object_options
@click.pass_obj
def explain(context: Context, /, job: str, namespace: str, select: str, output: str | None, *, pretty: bool) -> None:
    """Tell why partitions of a job wait, with the reason of every node that was looked at."""
    context.run(_explain(context, job, namespace, checked_selection(select), output, pretty=pretty))


async def _explain(
    context: Context, job: str, namespace: str, select: str, output: str | None, *, pretty: bool
) -> None:
    async with context.client(namespace) as client:
        wanted = await named(client, job, context.settings.instance_id())
        found = await client.explain(wanted, select)
    if not show_object(context, found, output, pretty=pretty, key="Items"):
        _tell_explanations(context, found)


def _tell_explanations(context: Context, found: "Explanations") -> None:
    out = context.output
    if not found.items:
        out.line("No partition waits")
    for item in found.items:
        verb = "waits" if item.count == 1 else "wait"
        out.line(f"{counted(item.count, 'partition')} {verb} ({item.partitions}): {printable(item.reason)}")
        for node in item.nodes:
            out.line(f"  {printable(node.node_id)}: {printable(node.reason)}")
