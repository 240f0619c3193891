"""`job plan`: what submitting a job file would do, asked of the orchestrator. Nothing is submitted."""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from tui.cli.commands.job_run import file_options, read_checked
from tui.cli.context import Context
from tui.cli.diagnostics import CommandError, ExitCode, Finding
from tui.cli.options import namespace_option
from tui.cli.printable import counted, printable
from tui.cli.submission import INVALID

if TYPE_CHECKING:
    from orchestrator.contract.plan import Plan

MOST_NODES = 20


@click.command()
@namespace_option
@file_options
@click.pass_obj
def plan(context: Context, /, namespace: str, **source: Any) -> int:
    """Say what submitting a job file (`-` or none: stdin) would do: new or update, what changes, which nodes match.

    Nothing is submitted. Exit code: 0, also where nothing would change; 2 the job is not valid.
    """
    return context.run(_plan(context, read_checked(**source), namespace))


async def _plan(context: Context, job: Any, namespace: str) -> ExitCode:
    async with context.client(namespace) as client:
        found = await client.plan(job)
    if found.problems:
        findings = [
            Finding(path=one.path, found=one.found, allowed=one.allowed, hint=one.hint, message=one.message)
            for one in found.problems
        ]
        raise CommandError(INVALID, ExitCode.USAGE, code="InvalidJob", problems=findings)
    if context.wants_json:
        context.output.json(found)
    else:
        for line in lines_of(found):
            context.output.line(printable(line))
    return ExitCode.OK


def lines_of(plan: "Plan") -> list[str]:
    """A plan for people."""
    lines = [headline(plan)]
    for one in plan.differences:
        before, after = (msgspec.json.encode(value).decode() for value in (one.old, one.new))
        lines.append(f"  {one.path}: {before} -> {after}")
    lines.append(f"{counted(plan.partitions, 'partition')}; {counted(sum(n.matches for n in plan.nodes), 'node')} of "
                 f"{len(plan.nodes)} can take them")  # fmt: skip
    for node in plan.nodes[:MOST_NODES]:
        slots = f"{counted(node.slots, 'slot')}" if node.matches else "no"
        lines.append(f"  {node.node_id}: {slots}" + (f", {node.reason}" if node.reason else ""))
    more = len(plan.nodes) - MOST_NODES
    return [*lines, f"  and {counted(more, 'more node')}"] if more > 0 else lines


def headline(plan: "Plan") -> str:
    """What it would be."""
    match plan.kind.value:
        case "update":
            stopping = f", {counted(plan.stopping, 'execution')} would stop" if plan.stopping else ""
            return f"UPDATES {plan.job_id}: version {plan.old_version} -> {plan.new_version}{stopping}"
        case "unchanged":
            return f"UNCHANGED {plan.job_id}: version {plan.old_version} is the same; --force would begin it anew"
        case _:
            return "NEW job"
