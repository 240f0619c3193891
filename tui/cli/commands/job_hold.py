"""`job suspend` and `job resume`: hold a job and let it go on."""

import click

from tui.cli.context import Context, named
from tui.cli.diagnostics import ExitCode
from tui.cli.options import flag, job_argument, namespace_option


@click.command()
@job_argument
@namespace_option
@click.option("--reason", default="", help="Shown with the job, and kept in its history.")
@flag("--quiet", help="Say nothing.")
@click.pass_obj
def suspend(context: Context, /, job: str, namespace: str, reason: str, *, quiet: bool) -> int:
    """Place nothing more of a job. What runs goes on; what waits on a node is taken back."""
    return context.run(_hold(context, job, namespace, reason, is_suspending=True, quiet=quiet))


@click.command()
@job_argument
@namespace_option
@flag("--quiet", help="Say nothing.")
@click.pass_obj
def resume(context: Context, /, job: str, namespace: str, *, quiet: bool) -> int:
    """Place a suspended job again."""
    return context.run(_hold(context, job, namespace, "", is_suspending=False, quiet=quiet))


async def _hold(
    context: Context, job: str, namespace: str, reason: str, *, is_suspending: bool, quiet: bool
) -> ExitCode:
    async with context.client(namespace) as client:
        wanted = await named(client, job, context.settings.instance_id())
        answer = await (client.suspend(wanted, reason) if is_suspending else client.resume(wanted))
    if context.wants_json:
        context.output.json(answer)
    elif not quiet:
        done, was = ("Suspended", "suspended already") if is_suspending else ("Resumed", "not suspended")
        context.output.line(done if answer.evaluation_id else f"The job was {was}: nothing to do")
    return ExitCode.OK
