"""`node list`, `describe`, and what operators do to nodes: `approve`, `reject`, `delete`."""

from typing import TYPE_CHECKING, Any

import click

from tui.cli.context import Context
from tui.cli.diagnostics import UsageError
from tui.cli.listing import Column, TableOptions, show_list, show_object
from tui.cli.options import checked_labels, limit_option, object_options, order_options, table_options
from tui.model.moments import bytes_text, short_duration

if TYPE_CHECKING:
    from orchestrator.contract.node import NodeState

GROUPS = {
    "labels": ("Labels",),
    "version": ("Version", "Architecture", "OS"),
    "features": ("Engines", "Inputs From", "Outputs"),
    "capacity": ("CPU", "Memory", "Disk", "GPU"),
}
"""Columns by the words of `--show`."""


@click.command()
@click.option("--show", default="labels,capacity", metavar="WORD,...", help=f"Columns: {', '.join(GROUPS)}.")
@click.option("--labels", default="", metavar="S", help="Only nodes whose labels match.")
@click.option(
    "--filter-approval", type=click.Choice(["approved", "pending", "rejected"]), default=None, help="Only these."
)
@click.option("--filter-status", type=click.Choice(["connected", "disconnected"]), default=None, help="Only these.")
@limit_option
@order_options
@table_options
@click.pass_obj
def list_nodes(context: Context, /, show: str, labels: str, **given: Any) -> None:
    """List the nodes: who is connected, and what is free."""
    groups = [word for word in show.split(",") if word]
    for word in groups:
        if word not in GROUPS:
            message = f"--show: found {word!r}, allowed: {', '.join(GROUPS)}"
            raise UsageError(message)
    query = {
        "labels": checked_labels(labels),
        "approval": given.pop("filter_approval") or "",
        "status": given.pop("filter_status") or "",
        "limit": given.pop("limit") or 0,
        "order_by": given.pop("order_by"),
        "is_reversed": bool(given.pop("order_reversed")),
    }
    context.run(_list(context, groups, query, TableOptions(**given)))


async def _list(context: Context, groups: list[str], query: dict[str, Any], options: TableOptions) -> None:
    async with context.client() as client:
        answer = await client.nodes(**query)
    column = Column(context.output, is_wide=options.wide)
    columns = ["ID", "Type", "Approval", "Status", *(name for word in groups for name in GROUPS[word])]
    rows = [_row(node, groups, column) for node in answer.nodes]
    show_list(context, options, columns, rows, body=answer, key="Nodes")


def _row(node: "NodeState", groups: list[str], column: Column) -> list[str]:
    info = node.info
    cells = [column.id(info.node_id), info.node_type, node.membership.value, _status(node, column)]
    for word in groups:
        match word:
            case "labels":
                cells.append(" ".join(f"{key}={value}" for key, value in sorted(info.labels.items())))
            case "version":
                build = info.bacalhau_version
                cells += [build.git_version, build.goarch, build.goos]
            case "features":
                compute = info.compute_node_info
                kinds = (compute.execution_engines, compute.storage_sources, compute.publishers)
                cells += [" ".join(kind or ()) for kind in kinds]
            case _:
                cells += _capacity(node)
    return cells


def _status(node: "NodeState", column: Column) -> str:
    """CONNECTED or DISCONNECTED, as in Bacalhau; DRAINING, with its deadline, or DRAINED of a connected node out of use."""
    from tui.model.nodes import state_of, until_moved

    state = state_of(node)
    if state not in ("Draining", "Drained"):
        return node.connection.value
    left = until_moved(node, column.now.timestamp())
    if left is None or node.drain is None:
        return state.upper()
    return f"DRAINING {short_duration(left)}" if column.is_brief else f"DRAINING until {node.drain.deadline}"


def _capacity(node: "NodeState") -> list[str]:
    """`available / most` of each resource; nothing for the orchestrator."""
    if node.info.node_type != "Compute":
        return ["", "", "", ""]
    compute = node.info.compute_node_info
    free, most = compute.available_capacity, compute.max_capacity
    return [
        f"{free.cpu:.1f} / {most.cpu:.1f}",
        f"{bytes_text(free.memory)} / {bytes_text(most.memory)}",
        f"{bytes_text(free.disk)} / {bytes_text(most.disk)}",
        f"{free.gpu} / {most.gpu}",
    ]


@click.command()
@click.argument("node", metavar="NODE")
@object_options
@click.pass_obj
def describe(context: Context, /, node: str, output: str | None, *, pretty: bool) -> None:
    """Show a node, by its id or by what only its id begins with."""
    context.run(_describe(context, node, output, pretty=pretty))


async def _describe(context: Context, node: str, output: str | None, *, pretty: bool) -> None:
    if not node:
        message = "NODE is empty: give the id of a node"
        raise UsageError(message)
    async with context.client() as client:
        found = await client.node(node)
    if not show_object(context, found, output, pretty=pretty):
        context.output.yaml(found)


def _action(word: str, summary: str) -> click.Command:
    """The verb that asks for one action on a node."""

    @click.command(name=word, help=summary)
    @click.argument("node", metavar="NODE")
    @click.option("-m", "--message", default="", help="Why.")
    @click.pass_obj
    def act(context: Context, /, node: str, message: str) -> None:
        context.run(_act(context, word, node, message))

    return act


async def _act(context: Context, word: str, node: str, reason: str) -> None:
    if not node:
        message = "NODE is empty: give the id of a node"
        raise UsageError(message)
    async with context.client() as client:
        answer = await client.change_node(node, word, reason=reason)
    if context.wants_json:
        context.output.json(answer)
    else:
        context.output.line("Ok")


approve = _action("approve", "Let a node take part that waits for it, or was rejected.")
reject = _action("reject", "Shut a node out: it stops its work, which is run elsewhere.")
delete = _action("delete", "Forget a node; started again it joins like a new one.")
