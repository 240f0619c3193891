"""`job list`, `executions`, `history`, `versions`: lists, with Bacalhau's columns and ours behind them."""

from typing import TYPE_CHECKING, Any

import click

from tui.cli.context import Context, named
from tui.cli.diagnostics import note
from tui.cli.listing import Column, TableOptions, show_list
from tui.cli.options import (
    all_versions_option,
    checked_labels,
    job_argument,
    limit_option,
    namespace_option,
    order_options,
    table_options,
    version_option,
)
from tui.cli.printable import counted, moment

if TYPE_CHECKING:
    from orchestrator.client import OrchestratorClient
    from orchestrator.contract.api import HistoryList, JobList
    from orchestrator.contract.execution import Execution

NEWEST = 50
"""So many jobs are listed unless told otherwise."""
PAGE = 500
NO_CANARIES = "bacalhau_canary != true"
HISTORY_SHOWN = 100


@click.command()
@click.option("--labels", default="", metavar="S", help="Only jobs whose labels match: team=a,env in (x,y).")
@click.option("--namespace", default="", help="Only of this namespace.")
@limit_option
@click.option("--next-token", default="", help="Go on where a listing ended.")
@order_options
@table_options
@click.pass_obj
def list_jobs(
    context: Context,
    /,
    labels: str,
    namespace: str,
    limit: int | None,
    next_token: str,
    order_by: str,
    order_reversed: bool | None,  # noqa: FBT001 - click passes options by name
    **table: Any,
) -> None:
    """List jobs: the newest 50 first, or with --order-reversed=false the oldest, as Bacalhau does."""
    options = TableOptions(**table)
    query = {
        "labels": checked_labels(labels) or NO_CANARIES,
        "order_by": order_by,
        "is_reversed": order_reversed is not False,
        "next_token": next_token,
    }
    context.run(_list_jobs(context, namespace, limit, query, options))


async def _list_jobs(
    context: Context, namespace: str, limit: int | None, query: dict[str, Any], options: TableOptions
) -> None:
    wanted = limit if limit is not None else 0 if context.wants_json else NEWEST
    async with context.client(namespace) as client:
        jobs = await _jobs(client, wanted, query)
        column = Column(context.output, is_wide=options.wide)
        rows = [
            (
                column.time(moment(job.create_time)),
                column.id(job.id),
                job.name if job.name != job.id else column.id(job.name),
                job.task.engine.type if job.tasks else "",
                job.type.value,
                job.state.state_type.value,
                str(job.count),
            )
            for job in jobs.items
        ]
        columns = ("Created", "ID", "Name", "Job", "Type", "State", "Count")
        show_list(context, options, columns, rows, body=jobs)
        if jobs.next_token and not context.wants_json and options.output in (None, "table"):
            more = await _jobs(client, 0, {**query, "next_token": jobs.next_token})
            note(f"{counted(len(more.items), 'more job')}: shoal job list --limit 0")


async def _jobs(client: "OrchestratorClient", limit: int, query: dict[str, Any]) -> "JobList":
    """So many jobs (0 = all), read in pages."""
    from orchestrator.contract.api import JobList

    items: list[Any] = []
    while True:
        size = min(PAGE, limit - len(items)) if limit else PAGE
        page = await client.jobs(limit=size, **query)
        items += page.items
        query = {**query, "next_token": page.next_token}
        if not page.next_token or (limit and len(items) >= limit):
            return JobList(next_token=page.next_token, items=tuple(items))


@click.command()
@job_argument
@namespace_option
@version_option
@all_versions_option
@limit_option
@order_options
@table_options
@click.pass_obj
def executions(
    context: Context,
    /,
    job: str,
    namespace: str,
    limit: int | None,
    order_by: str,
    order_reversed: bool | None,  # noqa: FBT001 - click passes options by name
    *,
    version: int,
    all_versions: bool,
    **table: Any,
) -> None:
    """List the attempts at a job's partitions, oldest first."""
    query = {
        "version": version,
        "all_versions": all_versions,
        "limit": limit or 0,
        "order_by": order_by,
        "is_reversed": bool(order_reversed),
    }
    context.run(_executions(context, job, namespace, query, TableOptions(**table)))


async def _executions(context: Context, job: str, namespace: str, query: dict[str, Any], options: TableOptions) -> None:
    async with context.client(namespace) as client:
        wanted = await named(client, job, context.settings.instance_id())
        answer = await client.executions(wanted, **query)
        column = Column(context.output, is_wide=options.wide)
        rows = [execution_row(execution, column) for execution in answer.items]
        show_list(context, options, EXECUTION_COLUMNS, rows, body=answer)


EXECUTION_COLUMNS = (
    "Created", "Modified", "ID", "Job Version", "Node ID", "Rev.", "State", "Desired", "Partition", "Attempt", "Comment",
)  # fmt: skip
NAMES = {1: "New", 5: "BidAccepted", 6: "Running", 7: "Publishing", 9: "Completed", 10: "Failed", 11: "Cancelled"}


def execution_row(execution: "Execution", column: Column) -> tuple[str, ...]:
    """The cells of an execution."""
    state = execution.compute_state
    return (
        column.time(moment(execution.create_time)),
        column.time(moment(execution.modify_time)),
        column.id(execution.id),
        str(execution.job_version),
        column.id(execution.node_id),
        str(execution.revision),
        NAMES.get(state.state_type, state.state_type.name.title().replace("_", "")),
        execution.desired_state.state_type.name.title(),
        str(execution.partition_index),
        str(execution.attempt or ""),
        f"{execution.cause.value}: {state.message}" if execution.cause and state.message else state.message,
    )


@click.command()
@job_argument
@namespace_option
@click.option("--event-type", type=click.Choice(["all", "job", "execution"]), default="all", help="Whose lines.")
@click.option("--execution-id", default="", help="Only of the execution whose id begins so.")
@version_option
@all_versions_option
@limit_option
@click.option("--next-token", default="", help="Go on where a listing ended.")
@order_options
@table_options
@click.pass_obj
def history(
    context: Context,
    /,
    job: str,
    namespace: str,
    limit: int | None,
    next_token: str,
    **given: Any,
) -> None:
    """Show what happened to a job and its executions, oldest first."""
    names = ("event_type", "execution_id", "version", "all_versions")
    query = {name: given.pop(name) for name in names}
    del given["order_by"], given["order_reversed"]  # accepted as Bacalhau does; history is always oldest first
    context.run(_history(context, job, namespace, limit, next_token, query, TableOptions(**given)))


async def _history(
    context: Context,
    job: str,
    namespace: str,
    limit: int | None,
    next_token: str,
    query: dict[str, Any],
    options: TableOptions,
) -> None:
    async with context.client(namespace) as client:
        wanted = await named(client, job, context.settings.instance_id())
        answer = await every_line(client, wanted, limit or 0, next_token, query)
        column = Column(context.output, is_wide=options.wide)
        rows = [
            (
                line.event.timestamp or line.time,
                line.type.value,
                str(line.job_version),
                column.id(line.execution_id),
                line.event.topic,
                line.event.message,
            )
            for line in answer.items
        ]
        show_list(context, options, ("Time", "Level", "Job Version", "Exec. ID", "Topic", "Event"), rows, body=answer)


async def every_line(
    client: "OrchestratorClient", job: str, limit: int, token: str, query: dict[str, Any]
) -> "HistoryList":
    """So many lines (0 = all there are now). The token of a running job never becomes empty: an empty page is the end."""
    from orchestrator.contract.api import HistoryList

    items: list[Any] = []
    while True:
        size = min(PAGE, limit - len(items)) if limit else PAGE
        page = await client.history(job, limit=size, next_token=token, **query)
        items += page.items
        is_end = not page.items or not page.next_token or page.next_token == token
        token = page.next_token
        if is_end or (limit and len(items) >= limit):
            return HistoryList(next_token=token if limit else "", items=tuple(items))


@click.command()
@job_argument
@namespace_option
@table_options
@click.pass_obj
def versions(context: Context, /, job: str, namespace: str, **table: Any) -> None:
    """List the versions of a job, oldest first."""
    context.run(_versions(context, job, namespace, TableOptions(**table)))


async def _versions(context: Context, job: str, namespace: str, options: TableOptions) -> None:
    async with context.client(namespace) as client:
        wanted = await named(client, job, context.settings.instance_id())
        answer = await client.versions(wanted)
        submitted = await _submitted(client, wanted)
        column = Column(context.output, is_wide=options.wide)
        rows = [
            (
                column.time(submitted.get(one.version) or moment(one.modify_time)),
                str(one.version),
                one.state.state_type.value,
                str(one.count),
            )
            for one in answer.items
        ]
        show_list(context, options, ("Created At", "Job Version", "State", "Count"), rows, body=answer)


async def _submitted(client: "OrchestratorClient", job: str) -> dict[int, str]:
    """When each version was submitted: that is when its history begins, for the times of the job itself do not tell.

    Its CreateTime is the first version's, and its ModifyTime that of its last change.
    """
    told = await every_line(client, job, 0, "", {"all_versions": True, "event_type": "job"})
    return {line.job_version: line.event.timestamp or line.time for line in reversed(told.items)}
