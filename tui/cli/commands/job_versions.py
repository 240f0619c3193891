"""`job rerun` and `job diff`: what has to do with versions of a job."""

from typing import Any

import click

from tui.cli.commands.job_run import file_options, read_checked
from tui.cli.context import Context, named
from tui.cli.diagnostics import ExitCode, UsageError
from tui.cli.options import job_argument, namespace_option, version_option
from tui.cli.printable import printable
from tui.cli.submission import RunOptions, run_options, wait_for_submitted

COLOURS = {"-": "31", "+": "32"}


@click.command()
@job_argument
@namespace_option
@version_option
@click.option("--reason", default="", help="Kept in the job's history.")
@run_options
@click.pass_obj
def rerun(context: Context, /, job: str, namespace: str, version: int, reason: str, **given: Any) -> int:
    """Run a job again as a new version: all its partitions, as --version says them, and wait for its end.

    To run only failed partitions again, in the same version: shoal job retry JOB --failed
    """
    options = RunOptions(**given)
    if options.dry_run:
        message = "--dry-run: a rerun has none"
        raise UsageError(message, hint=f"shoal job describe {job} --version {version or 'N'}")
    return context.run(_rerun(context, job, namespace, version, reason, options))


async def _rerun(context: Context, job: str, namespace: str, version: int, reason: str, options: RunOptions) -> int:
    async with context.client(namespace) as client:
        wanted = await named(client, job, context.settings.instance_id())
        answer = await client.rerun(wanted, version=version, reason=reason)
        return await wait_for_submitted(context, client, answer.job_id, answer.warnings or (), options)


@click.command()
@file_options
@click.pass_obj
def diff(context: Context, /, **source: Any) -> int:
    """Show what submitting a job file would change in the job of its name. Nothing is stored."""
    return context.run(_diff(context, read_checked(**source)))


async def _diff(context: Context, job: Any) -> int:
    async with context.client() as client:
        answer = await client.diff(job)
    if context.wants_json:
        context.output.json(answer)
    else:
        tell_diff(context, answer.diff)
    return ExitCode.OK


def tell_diff(context: Context, text: str) -> None:
    """A diff, its changes in colour on a terminal."""
    output = context.output
    for line in text.splitlines() or ["No diff detected."]:
        code = COLOURS.get(line[:1], "") if output.has_colour else ""
        output.line(f"\x1b[{code}m{printable(line)}\x1b[0m" if code else printable(line))
