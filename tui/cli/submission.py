"""From plain data to a job that runs: checked here first, then submitted, then waited for."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from orchestrator.contract.decode import decode_job
from orchestrator.contract.job import Job
from orchestrator.contract.units import duration
from tui.cli.context import Context
from tui.cli.diagnostics import CommandError, ExitCode, Finding, UsageError, interrupted, note, warn
from tui.cli.options import flag, together
from tui.cli.output import Output

if TYPE_CHECKING:
    from orchestrator.client import OrchestratorClient

INVALID = "the job provided is invalid"


class Seconds(click.ParamType[float]):
    """A duration: `1m30s`, or seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Its seconds."""
        try:
            seconds = duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if seconds < 0:
            self.fail(f"found {value!r}, allowed: 0 or more", param, ctx)
        return seconds


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What happens with a job beyond its spec."""

    wait: bool
    wait_timeout_secs: float
    id_only: bool
    node_details: bool
    follow: bool
    group_events: bool
    """Bacalhau's; ours are always grouped, by partition."""
    dry_run: bool
    hide_warnings: bool
    force: bool


timeout_option = click.option(
    "--wait-timeout-secs",
    type=Seconds(),
    default=0,
    metavar="D",
    help="Wait no longer than this (exit 124); 0 = no limit.",
)
run_options = together(
    flag("--wait", default=True, help="Wait for the end; false: print the job's id and return."),
    timeout_option,
    flag("--id-only", help="Print only the job's id on stdout; progress goes to stderr."),
    flag("--node-details", help="Say at the end what each node did."),
    flag("-f", "--follow", help="Follow the logs instead of the partitions."),
    flag("--group-events", help="As Bacalhau's: partitions are always shown grouped."),
    flag("--dry-run", help="Show what would change in the job of that name, or the job as it would be sent."),
    flag("--hide-warnings", help="Say nothing of warnings."),
    flag("--force", help="Submit a known job though nothing of it changed."),
)


def checked(raw: object, line_of: Callable[[str], int | None] | None = None, *, is_file: bool = False) -> Job:
    """The job of plain data, checked whole. Raises CommandError (2) with every problem, its path and its line."""
    decoded = decode_job(raw, is_file=is_file)
    if decoded.job is None:
        problems = [
            Finding(
                path=problem.path,
                line=line_of(problem.path) if line_of else None,
                found=problem.found,
                allowed=problem.allowed,
                hint=problem.hint,
                message=problem.message,
            )
            for problem in decoded.problems
        ]
        problems.sort(key=lambda finding: finding.line or 0)
        raise CommandError(INVALID, ExitCode.USAGE, code="InvalidJob", problems=problems)
    for warning in decoded.warnings:
        warn(warning)
    return decoded.job


def submit(context: Context, job: Job, options: RunOptions, *, has_diff: bool = False) -> int:
    """Submit a checked job and, unless told otherwise, wait for its end; returns the exit code.

    A dry run shows, with `has_diff`, what would change in the job of that name, else the job as it would be sent.
    """
    if options.dry_run:
        if not (has_diff and job.name and context.run(_compare(context, job))):
            _show(context, job)
        return ExitCode.OK
    if options.follow and not options.wait:
        message = "--follow and --wait=false together: use one of them"
        raise UsageError(message)
    return context.run(_submit(context, job, options))


async def _compare(context: Context, job: Job) -> bool:
    """Show what would change; whether there is such a job to be compared with."""
    from orchestrator.client import ClientError
    from tui.cli.commands.job_versions import tell_diff

    try:
        async with context.client() as client:
            answer = await client.diff(job)
    except ClientError as error:
        note(f"{error.message}: the job as it would be sent")
        return False
    if context.wants_json:
        context.output.json(answer)
    else:
        tell_diff(context, answer.diff)
    return True


def _show(context: Context, job: Job) -> None:
    if context.wants_json:
        context.output.json({"Job": _sent(job)})
    else:
        context.output.yaml(_sent(job))


def _sent(job: Job) -> dict[str, Any]:
    from orchestrator.client import NOT_SUBMITTED

    return {key: value for key, value in msgspec.to_builtins(job).items() if key not in NOT_SUBMITTED}


async def _submit(context: Context, job: Job, options: RunOptions) -> int:
    async with context.client() as client:
        answer = await client.submit(job, force=options.force)
        return await wait_for_submitted(context, client, answer.job_id, answer.warnings or (), options)


async def wait_for_submitted(
    context: Context, client: "OrchestratorClient", job_id: str, warnings: Sequence[str], options: RunOptions
) -> int:
    """Tell that a job was taken in and, unless told otherwise, wait for its end; returns the exit code."""
    if context.wants_json:
        context.output.json({"JobID": job_id, "Warnings": warnings})
    else:
        for warning in () if options.hide_warnings else warnings:
            warn(warning)
    if not options.wait:
        if not context.wants_json:
            context.output.line(job_id)
        return ExitCode.OK
    if options.id_only and not context.wants_json:
        context.output.line(job_id)
    elif not context.wants_json:
        context.output.line(f"Job successfully submitted. Job ID: {job_id}")
    from tui.cli.waiting import tell_nodes, wait_for

    progress = _stderr() if options.id_only else None
    if options.follow:
        await _follow_logs(context, client, job_id)
    patience = options.wait_timeout_secs
    code = await wait_for(context, client, job_id, patience=patience, progress=progress, is_quiet=options.follow)
    if options.node_details and not context.wants_json:
        await tell_nodes(client, job_id, progress or context.output)
    return code


async def _follow_logs(context: Context, client: "OrchestratorClient", job: str) -> None:
    """Write the logs until all is ended. A stream that breaks is told: the wait after it goes on."""
    import asyncio

    from orchestrator.client import ClientError
    from tui.cli.logstream import LogOptions, stream_logs

    try:
        await stream_logs(context, client, job, LogOptions(follow=True, attempt="all"))
    except ClientError as error:
        warn(f"{error.message}; go on reading with: shoal job logs {job} -f")
    except asyncio.CancelledError as error:
        raise interrupted(job) from error


def _stderr() -> Output:
    import sys

    return Output(sys.stderr)
