"""`job stop` and `job retry`: what changes a running or ended job."""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from tui.cli.context import Context, named
from tui.cli.diagnostics import ExitCode, UsageError, ask, can_ask, note
from tui.cli.options import flag, job_argument, namespace_option, yes_option
from tui.cli.printable import counted, no_match
from tui.cli.submission import Seconds, timeout_option

if TYPE_CHECKING:
    from orchestrator.client import OrchestratorClient
    from orchestrator.contract.job import ResourcesConfig
    from orchestrator.contract.partitions import ActionResult

ASK_ABOVE = 1_000
"""Partitions; acting on more is asked about."""
DEFAULT_REASON = "Stopped at user request"


@click.command()
@job_argument
@namespace_option
@click.option("--select", default="", metavar="S", help="Only these partitions: 3-9, running, node:n1, ...")
@click.option("--reason", default=DEFAULT_REASON, help="Kept in the job's history.")
@flag("--dry-run", help="Say what would be stopped; with --select.")
@flag("--quiet", help="Say nothing.")
@yes_option
@click.pass_obj
def stop(
    context: Context, /, job: str, namespace: str, select: str, reason: str, *, dry_run: bool, quiet: bool, yes: bool
) -> int:
    """Stop a job, or the unfinished ones of some of its partitions. What is completed is kept."""
    if dry_run and not select:
        message = "--dry-run needs --select"
        raise UsageError(message)
    return context.run(_stop(context, job, namespace, select, reason, dry_run=dry_run, quiet=quiet, yes=yes))


async def _stop(
    context: Context, job: str, namespace: str, select: str, reason: str, *, dry_run: bool, quiet: bool, yes: bool
) -> int:
    async with context.client(namespace) as client:
        wanted = await named(client, job, context.settings.instance_id())
        if select:
            result = await client.stop_partitions(wanted, select, reason, dry_run=True)
            if not dry_run and result.count:
                _confirm(result.count, f"stop {counted(result.count, 'partition')}", yes=yes)
                result = await client.stop_partitions(wanted, select, reason)
            if not quiet:
                verb = "would stop" if dry_run else "stopping"
                await _tell(context, client, wanted, verb, select, result, "is unfinished")
            return ExitCode.OK
        if not yes:
            _confirm(await _unfinished(client, wanted), f"stop job {wanted}", yes=False)
        answer = await client.stop(wanted, reason)
        if context.wants_json:
            context.output.json(answer)
        elif not quiet:
            said = f"Job stop successfully submitted with evaluation ID: {answer.evaluation_id}"
            context.output.line(said if answer.evaluation_id else "The job was stopped already: nothing to do")
        return ExitCode.OK


async def _unfinished(client: "OrchestratorClient", job: str) -> int:
    grid = await client.grid(job)
    settled = ("Completed", "Failed", "Stopped", "Unselected")
    return sum(number for state, number in grid.summary.items() if state not in settled)


@click.command()
@job_argument
@namespace_option
@flag("--failed", help="The failed partitions.")
@click.option("--select", default="", metavar="S", help="These partitions: 3-9, stopped, cause:oom, ...")
@flag("--include-completed", help="Of the selection also completed ones: their success is given up.")
@click.option("--memory", default="", metavar="4GB", help="What each needs from now on, in place of the job's.")
@click.option("--cpu", default="", metavar="2", help="The same, cores.")
@click.option("--timeout", type=Seconds(), default=None, metavar="1h", help="How long each may run.")
@click.option("--avoid-node", multiple=True, metavar="NODE", help="Not on this node; may be given several times.")
@click.option("--add-attempts", type=click.IntRange(1, 100), default=None, help="Failures that each may have again.")
@flag("--dry-run", help="Say what would be run again.")
@flag("--wait", help="Wait for the end, as `job run` does.")
@timeout_option
@yes_option
@click.pass_obj
def retry(context: Context, /, job: str, namespace: str, **options: Any) -> int:
    """Run failed (or stopped) partitions again, in the same job, with fresh budgets. Old attempts and logs are kept."""
    request = Request(**options)
    if request.failed == bool(request.select):
        message = "one of --failed and --select S says which partitions"
        raise UsageError(message, hint=f"shoal job retry {job} --failed")
    if request.dry_run and request.wait:
        message = "--dry-run and --wait together: use one of them"
        raise UsageError(message)
    return context.run(_retry(context, job, namespace, request))


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of `job retry`."""

    failed: bool
    select: str
    include_completed: bool
    memory: str
    cpu: str
    timeout: float | None
    avoid_node: tuple[str, ...]
    add_attempts: int | None
    dry_run: bool
    wait: bool
    wait_timeout_secs: float
    yes: bool


async def _retry(context: Context, job: str, namespace: str, request: Request) -> int:
    async with context.client(namespace) as client:
        wanted = await named(client, job, context.settings.instance_id())
        select, with_completed = request.select or "failed", request.include_completed
        why_none = "has ended" if with_completed else "has failed or was stopped"
        grid = await client.grid(wanted)

        async def ask_for(*, dry_run: bool) -> "ActionResult":
            return await client.retry_partitions(
                wanted,
                select,
                include_completed=with_completed,
                resources=_resources(request),
                timeout=request.timeout,
                avoid_nodes=request.avoid_node,
                add_attempts=request.add_attempts,
                dry_run=dry_run,
            )

        result = await ask_for(dry_run=True)
        if not request.dry_run and result.count:
            _confirm(result.count, f"run {counted(result.count, 'partition')} again", yes=request.yes)
            result = await ask_for(dry_run=False)
        if not request.wait:
            verb = "would run again" if request.dry_run else "running again"
            await _tell(context, client, wanted, verb, select, result, why_none)
            return ExitCode.OK
        from tui.cli.waiting import wait_for

        if context.wants_json:
            context.output.json({"JobID": grid.job_id, "Warnings": []})
        else:
            await _tell(context, client, wanted, "running again", select, result, why_none)
        return await wait_for(context, client, grid.job_id, patience=request.wait_timeout_secs, told=grid.attempts)


def _resources(request: Request) -> "ResourcesConfig | None":
    """What each shall need."""
    if not (request.memory or request.cpu):
        return None
    from orchestrator.contract.job import ResourcesConfig

    return ResourcesConfig(memory=request.memory, cpu=request.cpu)


def _confirm(count: int, action: str, *, yes: bool) -> None:
    """Ask before acting on very many partitions. Raises UsageError where nobody can be asked."""
    if yes or count <= ASK_ABOVE:
        return
    if not can_ask():
        message = f"this would {action} ({counted(count, 'partition')}), and nobody can be asked"
        raise UsageError(message, hint="--yes says that it is meant")
    if not ask(f"{action[:1].upper()}{action[1:]} ({counted(count, 'partition')})?"):
        note("Nothing was done.")
        raise click.exceptions.Exit(ExitCode.FAILED)


async def _tell(
    context: Context,
    client: "OrchestratorClient",
    job: str,
    verb: str,
    select: str,
    result: "ActionResult",
    why_none: str,
) -> None:
    """Say what was done: to how many partitions, in which states, or why to none."""
    if context.wants_json:
        context.output.json(result)
        return
    detail = ", ".join(f"{number} {word}" for word, number in result.by_state.items())
    if not result.count:
        if not (await client.rows(job, select, limit=1)).items:
            context.output.line(no_match((await client.grid(job)).count, select))
            return
        detail = f"none that {select!r} selects {why_none}"
    context.output.line(f"{verb[:1].upper()}{verb[1:]}: {counted(result.count, 'partition')} ({detail})")
