"""`node drain` and `node undrain`: take a node out of use without losing work, and put it back."""

import click

from tui.cli.context import Context
from tui.cli.diagnostics import ExitCode, UsageError
from tui.cli.options import flag
from tui.cli.printable import counted, printable
from tui.cli.submission import Seconds

node_argument = click.argument("node", metavar="NODE")


@click.command()
@node_argument
@click.option(
    "--deadline",
    type=Seconds(),
    default=None,
    metavar="10m",
    help="After so long what still runs is moved, else it may finish.",
)
@click.option("--reason", default="", help="Shown with the node, and kept in the cluster's events.")
@flag("--quiet", help="Say nothing.")
@click.pass_obj
def drain(context: Context, /, node: str, deadline: float | None, reason: str, *, quiet: bool) -> int:
    """Place nothing more on a node. What runs there finishes, or is moved at the deadline, billed to nobody."""
    return context.run(_change(context, node, "drain", reason, deadline, quiet=quiet))


@click.command()
@node_argument
@flag("--quiet", help="Say nothing.")
@click.pass_obj
def undrain(context: Context, /, node: str, *, quiet: bool) -> int:
    """Place on a node again."""
    return context.run(_change(context, node, "undrain", "", None, quiet=quiet))


async def _change(
    context: Context, node: str, action: str, reason: str, seconds: float | None, *, quiet: bool
) -> ExitCode:
    if not node:
        message = "NODE is empty: give the id of a node"
        raise UsageError(message)
    async with context.client() as client:
        answer = await client.change_node(node, action, reason=reason, deadline=seconds)
    if context.wants_json:
        context.output.json(answer)
    elif not quiet:
        states = ", ".join(f"{number} {word}" for word, number in sorted(answer.by_state.items()))
        left = f": {counted(answer.running, 'execution')} there ({states})" if answer.running else ": nothing is there"
        done = f"Draining {printable(node)}{left}" if action == "drain" else f"{printable(node)} is placed on again"
        context.output.line(done)
    return ExitCode.OK
