"""`job logs`: read or follow what partitions write."""

import re
from typing import TYPE_CHECKING, Any

import click

from orchestrator.contract.units import duration
from tui.cli.commands.job_partitions import EVERY, checked_selection, every_row
from tui.cli.context import Context, named
from tui.cli.diagnostics import CommandError, ExitCode, UsageError, note
from tui.cli.logstream import LogOptions, no_log, raw_log, stream_logs
from tui.cli.options import Optional, flag, job_argument, namespace_option
from tui.cli.printable import no_match

if TYPE_CHECKING:
    from orchestrator.client import OrchestratorClient
    from orchestrator.contract.partitions import Grid

MOST = 20
"""Partitions whose logs are read at once without being asked for."""


@click.command()
@job_argument
@namespace_option
@click.option("--select", default="", metavar="S", help="Of these partitions: 3, failed, node:n1, ...")
@click.option("--attempt", default="last", metavar="N|last|all", help="Of which attempt (default: last).")
@click.option("-e", "--execution-id", default="", help="Of this execution.")
@flag("-f", "--follow", help="Go on until everything has ended.")
@click.option(
    "-t",
    "--tail",
    cls=Optional,
    bare="0",
    type=click.IntRange(min=0),
    default=None,
    metavar="N",
    help="Begin with the last N lines; without N: only what is new.",
)
@click.option(
    "--since", default="", metavar="D", help="Only what is newer than this long ago, or than an RFC 3339 time."
)
@flag("--timestamps", help="Each line with its time.")
@click.option("--stream", type=click.Choice(["out", "err"]), default=None, help="Only stdout, or only stderr.")
@click.option("--grep", default="", metavar="RE", help="Only lines that match.")
@flag("--no-prefix", help="Without the tag partition.attempt|.")
@click.pass_obj
def logs(context: Context, /, job: str, namespace: str, execution_id: str, **given: Any) -> int:
    """Read what partitions wrote to stdout and stderr.

    One partition: its bytes as they are. Several: each line with its partition and attempt, `412.2| line`.
    """  # fmt: skip
    options = LogOptions(
        select=checked_selection(given["select"]),
        attempt=_attempt(given["attempt"]),
        follow=given["follow"],
        tail=given["tail"],
        since=_since(given["since"]),
        stream=given["stream"] or "",
        timestamps=given["timestamps"],
        grep=_pattern(given["grep"]),
        has_prefix=not given["no_prefix"],
    )
    return context.run(_logs(context, job, namespace, execution_id, options))


def _attempt(word: str) -> str:
    if word not in ("last", "all") and not (word.isascii() and word.isdigit() and int(word) > 0):
        message = f"--attempt: found {word!r}, allowed: a number from 1, last, all"
        raise UsageError(message)
    return word


def _since(text: str) -> str:
    """Seconds back from now, or a time as it is."""
    if not text:
        return ""
    from datetime import datetime

    try:
        return f"{duration(text):g}"
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except ValueError as error:
        message = f"--since: found {text!r}, allowed: a duration like 10m, or a time like 2026-01-31T12:00:00Z"
        raise UsageError(message) from error


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        message = f"--grep: found {text!r}, allowed: a regular expression ({error})"
        raise UsageError(message) from error
    return text


async def _logs(context: Context, job: str, namespace: str, execution_id: str, options: LogOptions) -> int:
    async with context.client(namespace) as client:
        wanted = await named(client, job, context.settings.instance_id())
        grid = await client.grid(wanted)
        if not client.has_partitions and (options.since or options.timestamps):
            message = "--since, --timestamps: this orchestrator, a Bacalhau, does not tell when a line was written"
            raise UsageError(message)
        if execution_id:
            options = await _of_execution(client, grid, execution_id, options)
            if options.execution is not None:
                await stream_logs(context, client, grid.job_id, options)
                return ExitCode.OK
        elif grid.count > MOST and not options.select and not options.follow:
            raise _too_many(grid, job)
        only = _only_partition(grid, options.select)
        if only is None:
            if options.select and not (await client.rows(grid.job_id, options.select, limit=1)).items:
                note(no_match(grid.count, options.select))
                return ExitCode.OK
            await stream_logs(context, client, grid.job_id, _with(options, select=options.select or "all"))
            return ExitCode.OK
        has_lines = options.tail is not None or options.since or options.timestamps or options.grep
        if options.follow or context.wants_json or has_lines or options.attempt == "all":
            is_tagged = options.attempt == "all" and options.has_prefix and not options.follow
            await stream_logs(context, client, grid.job_id, _with(options, select=str(only), has_prefix=is_tagged))
            return ExitCode.OK
        last = grid.attempts[only]
        attempt = last if options.attempt == "last" else int(options.attempt)
        if not last:
            note(no_log(job, only))
            return ExitCode.OK
        await raw_log(context, client, grid.job_id, only, attempt, options.stream)
        return ExitCode.OK


def _with(options: LogOptions, **changes: Any) -> LogOptions:
    import msgspec

    return msgspec.structs.replace(options, **changes)


def _only_partition(grid: "Grid", select: str) -> int | None:
    """The one partition that is meant: the job has but one, or a selection names one number."""
    if not select:
        return 0 if grid.count == 1 else None
    return int(select) if select.isascii() and select.isdigit() and int(select) < grid.count else None


async def _of_execution(
    client: "OrchestratorClient", grid: "Grid", execution_id: str, options: LogOptions
) -> LogOptions:
    """Partition and attempt of an execution, by what its id begins with; one of an earlier version as it is."""
    rows = await every_row(client, grid.job_id, EVERY)
    for row in rows.items:
        if row.execution_id.startswith(execution_id):
            return _with(options, select=str(row.index), attempt=str(row.attempts))
    for row in rows.items:
        if row.attempts > 1:
            for attempt in (await client.partition(grid.job_id, row.index)).attempts:
                if attempt.execution_id.startswith(execution_id):
                    return _with(options, select=str(row.index), attempt=str(attempt.attempt))
    for execution in (await client.executions(grid.job_id, all_versions=True)).items:
        if execution.id.startswith(execution_id):
            if options.since or options.timestamps:
                message = "--since, --timestamps: of an execution of an earlier version it is not told when a line was written"
                raise UsageError(message)
            return _with(options, execution=execution, has_prefix=False)
    message = f"execution not found: {execution_id}"
    hint = f"list them with: shoal job executions {grid.job_id} --all-versions"
    raise CommandError(message, ExitCode.NOT_FOUND, hint=hint)


def _too_many(grid: "Grid", job: str) -> CommandError:
    counts = ", ".join(f"{number} {state.lower()}" for state, number in grid.summary.items())
    words = [state.lower() for state in grid.summary]
    examples = ", ".join(f"--select {word}" for word in [*words[:3], "0-19"])
    return UsageError(
        f"the job has {grid.count} partitions ({counts}): say whose logs, or follow all with -f",
        hint=f"shoal job logs {job} with {examples}",
    )
