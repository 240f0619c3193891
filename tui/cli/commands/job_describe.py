"""`job describe`: a job on one page. Up to 20 executions as Bacalhau shows them; beyond, counts, failures and the 20 worst."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tui.cli.commands.job_list import every_line, execution_row
from tui.cli.commands.job_partitions import COLUMNS, row_cells
from tui.cli.context import Context, named
from tui.cli.listing import Column, show_object
from tui.cli.options import job_argument, namespace_option, object_options, version_option
from tui.cli.printable import moment, printable
from tui.feed import JobView

if TYPE_CHECKING:
    from orchestrator.client import OrchestratorClient
    from orchestrator.contract.execution import Execution
    from orchestrator.contract.history import JobHistory
    from orchestrator.contract.job import Job

FEW = 20
WORST_FIRST = (7, 2, 8, 1, 3, 5, 4, 6, 0)
"""Partition states: failed, retrying, stopped, waiting, assigned, publishing, running, completed, unselected."""
HISTORY_SHOWN = 20
BRIEF = ("ID", "Node ID", "State", "Desired", "Rev.", "Created", "Modified", "Partition", "Attempt", "Comment")


@click.command()
@job_argument
@namespace_option
@version_option
@object_options
@click.pass_obj
def describe(context: Context, /, job: str, namespace: str, version: int, output: str | None, *, pretty: bool) -> None:
    """Show a job: where it stands, its partitions, why they failed, what happened, what it wrote."""
    context.run(_describe(context, job, namespace, version, output, pretty=pretty))


async def _describe(
    context: Context, job: str, namespace: str, version: int, output: str | None, *, pretty: bool
) -> None:
    async with context.client(namespace) as client:
        wanted = await named(client, job, context.settings.instance_id())
        if output:
            answer = await client.job(wanted, version=version, include="executions,history")
            show_object(context, answer, output, pretty=pretty)
            return
        answer = await client.job(wanted, version=version, include="history" if context.wants_json else "")
        view = JobView()
        view.load(await client.grid(answer.job.id))
        is_current = version in (0, view.version)
        if context.wants_json:
            body = {"Job": answer.job, "History": answer.history, **({"Summary": view.summary} if is_current else {})}
            context.output.json(body, pretty=pretty)
            return
        _show_job(context, answer.job)
        if is_current and view.count > FEW:
            await _show_many(context, client, view)
        else:
            await _show_few(context, client, answer.job, version)
        query = {"event_type": "job", "version": answer.job.version}
        _show_history(context, (await every_line(client, answer.job.id, 0, "", query)).items)


def _show_job(context: Context, job: "Job") -> None:
    column = Column(context.output)
    context.output.fields(
        {
            "ID": job.id,
            "Name": job.name,
            "Namespace": job.namespace,
            "Type": job.type.value,
            "State": job.state.state_type.value,
            "Message": job.state.message,
            "Count": str(job.count),
            "Created Time": column.time(moment(job.create_time)),
            "Modified Time": column.time(moment(job.modify_time)),
            "Version": str(job.version),
        }
    )


def _title(context: Context, text: str) -> None:
    output = context.output
    output.line()
    output.line(f"\x1b[1m{text}\x1b[0m" if output.has_colour else text)


async def _show_many(context: Context, client: "OrchestratorClient", view: JobView) -> None:
    """Counts, failure groups, the worst partitions, and the command for the rest."""
    from orchestrator.contract.selectors import format_ranges
    from tui.cli.waiting import failure_lines

    output = context.output
    _title(context, "Summary")
    output.fields({name: str(number) for name, number in view.summary.items()})
    if groups := await failure_lines(client, view):
        _title(context, "Failures")
        for line in groups:
            output.line(line)
    rank = {state: place for place, state in enumerate(WORST_FIRST)}
    worst = sorted(range(view.count), key=lambda index: (rank.get(view.states[index], -1), index))[:FEW]
    rows = await client.rows(view.job_id, format_ranges(worst), limit=FEW)
    place = {index: at for at, index in enumerate(worst)}
    column = Column(output)
    _title(context, f"Partitions ({FEW} of {view.count}, those with trouble first)")
    items = sorted(rows.items, key=lambda row: place.get(row.index, FEW))
    output.table(COLUMNS, [row_cells(row, column) for row in items])
    output.line(f"All of them: shoal job partitions {column.id(view.job_id)}")


async def _show_few(context: Context, client: "OrchestratorClient", job: "Job", version: int) -> None:
    """The executions, newest first, and what they wrote."""
    executions = (await client.executions(job.id, version=version)).items
    output = context.output
    numbers: dict[str, int] = {}
    for execution in executions:
        name = execution_row(execution, Column(output))[6]
        numbers[name] = numbers.get(name, 0) + 1
    _title(context, "Summary")
    output.fields({name: str(number) for name, number in numbers.items()})
    _title(context, "Executions")
    column = Column(output)
    newest = sorted(executions, key=lambda execution: -execution.create_time)[:FEW]
    output.table(BRIEF, [_brief(execution, column) for execution in newest])
    if len(executions) > FEW:
        output.line(f"All {len(executions)} of them: shoal job executions {column.id(job.id)}")
    _show_output(context, executions)


def _brief(execution: "Execution", column: Column) -> tuple[str, ...]:
    created, modified, name, _, node, revision, state, desired, partition, attempt, comment = execution_row(
        execution, column
    )
    return name, node, state, desired, revision, created, modified, partition, attempt, comment


def _show_output(context: Context, executions: "tuple[Execution, ...]") -> None:
    """What executions wrote, at most the first 2 KiB of each stream; each line with its partition and attempt."""
    output = context.output
    wrote = [one for one in executions if one.run_output.stdout or one.run_output.stderr]
    if not wrote:
        return
    _title(context, "Standard Output")
    for one in sorted(wrote, key=lambda one: (one.partition_index, one.attempt)):
        run = one.run_output
        if len(executions) > 1:
            output.line(f"Partition {one.partition_index}, attempt {one.attempt}:")
        for text, is_truncated in ((run.stdout, run.stdout_truncated), (run.stderr, run.stderr_truncated)):
            for line in text.splitlines():
                output.line(printable(line))
            if is_truncated:
                output.line("...\nOutput truncated")


def _show_history(context: Context, lines: "Sequence[JobHistory]") -> None:
    if not lines:
        return
    _title(context, "Job History")
    column = Column(context.output)
    shown = lines[-HISTORY_SHOWN:]
    rows = [(column.time(line.event.timestamp or line.time), line.event.topic, line.event.message) for line in shown]
    context.output.table(("Time", "Topic", "Event"), rows)
