"""`events`: what happens in the cluster, to jobs, executions and nodes."""

from typing import TYPE_CHECKING

import click

from tui.cli.context import Context
from tui.cli.diagnostics import ExitCode
from tui.cli.options import flag
from tui.cli.output import Output
from tui.cli.printable import printable

if TYPE_CHECKING:
    from orchestrator.contract.overview import ClusterEvent

SHOWN = 100
MOST = 1000
WAIT = 30.0
"""Seconds that the orchestrator is asked to hold an answer."""


@click.command()
@flag("-f", "--follow", help="Go on with what happens, until Ctrl-C.")
@click.option("--limit", type=click.IntRange(min=1, max=MOST), default=SHOWN, help="Begin with so many; the newest.")
@click.option("--after", default="", metavar="CURSOR", help="Begin behind a cursor, which --json shows last.")
@click.pass_obj
def events(context: Context, /, limit: int, after: str, *, follow: bool) -> int:
    """Show what happened in the cluster, oldest first. With --json a line each, and at the end the cursor to go on."""
    return context.run(_events(context, limit, after, follow=follow))


async def _events(context: Context, limit: int, after: str, *, follow: bool) -> ExitCode:
    async with context.client() as client:
        page = await client.events(after=after, limit=limit)
        while True:
            for event in page.items:
                if context.wants_json:
                    context.output.json(event)
                else:
                    context.output.line(line_of(event, context.output))
            if not follow:
                break
            page = await client.events(after=page.cursor, limit=MOST, wait=WAIT)
        if context.wants_json:
            context.output.json({"Cursor": page.cursor})
    return ExitCode.OK


def line_of(event: "ClusterEvent", output: Output) -> str:
    """One event as a line: when, whose, what."""
    from orchestrator.contract.ids import short

    is_brief = output.is_terminal
    time = event.time[11:19] if is_brief else event.time
    job = event.job_name or event.job_id
    whose = [job if event.job_name else short(job) if is_brief else job] if event.job_id else []
    if event.partition is not None:
        whose.append(str(event.partition))
    if event.node_id:
        whose.append(f"on {event.node_id}" if event.job_id else event.node_id)
    more = {key: value for key, value in event.details.items() if key not in ("NodeID", "IsError", "NewState")}
    if more.get("Reason", "") in event.message:
        more.pop("Reason", None)
    details = f" ({', '.join(f'{key}={value}' for key, value in sorted(more.items()))})" if more else ""
    mark = "!" if event.details.get("IsError") else " "
    return printable(f"{time} {mark} {' '.join(whose)}: {event.message}{details}")
