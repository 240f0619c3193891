"""`token create`, `list`, `revoke` and `node token`: changes the orchestrator's file of tokens where it is, running or not."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from tui.cli.context import Context
from tui.cli.diagnostics import UsageError, note
from tui.cli.listing import TableOptions, show_list
from tui.cli.options import table_options

T = TypeVar("T")

LONGEST = 10 * 365 * 86_400.0
data_dir_option = click.option(
    "--data-dir",
    default="~/.shoal/orchestrator",
    metavar="DIR",
    help="The orchestrator's data directory (default: ~/.shoal/orchestrator).",
)


def changed(turn: Callable[[], T]) -> T:
    """What `turn` gives. Raises UsageError where the tokens cannot be read or changed so."""
    from orchestrator.tokens import TokenError

    try:
        return turn()
    except TokenError as error:
        raise UsageError(str(error)) from error


def seconds(name: str, text: str) -> float:
    """A duration. Raises UsageError."""
    from orchestrator.contract.units import duration

    try:
        found = duration(text)
    except ValueError as error:
        message = f"{name}: {error}"
        raise UsageError(message) from error
    if not 1 <= found <= LONGEST:
        message = f"{name}: found {text!r}, allowed: 1s to 10 years"
        raise UsageError(message)
    return found


def moment(when: float) -> str:
    """A time as RFC 3339; empty = never."""
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%dT%H:%M:%SZ}" if when else ""


@click.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--role",
    type=click.Choice(["admin", "operator", "viewer"]),
    required=True,
    help="viewer reads, operator acts on jobs, admin does everything.",
)
@click.option("--namespace", "namespaces", multiple=True, metavar="NS", help="Only jobs of this one; may be repeated.")
@click.option("--ttl", default="", metavar="D", help="How long it is good, e.g. 90d12h or 12h (default: for ever).")
@data_dir_option
@click.pass_obj
def create(context: Context, /, name: str, role: str, namespaces: tuple[str, ...], ttl: str, data_dir: str) -> None:
    """Make a token. It is shown now and never again."""
    from orchestrator import tokens
    from orchestrator.auth import Role

    if role == "admin" and namespaces:
        message = (
            "--namespace: an admin does everything, in all namespaces; allowed with: --role operator, --role viewer"
        )
        raise UsageError(message)
    lasting = seconds("--ttl", ttl) if ttl else 0.0
    directory = Path(data_dir).expanduser()
    secret, made = changed(lambda: tokens.create(directory, name, Role(role), namespaces, lasting))
    if context.wants_json:
        said = {"Name": made.name, "Role": made.role, "Namespaces": made.namespaces or ("*",)}
        context.output.json(said | {"Expires": moment(made.expires), "Token": secret})
        return
    context.output.line(secret)
    note("this is shown once; use it with: export SHOAL_API_KEY=...")


@click.command()
@data_dir_option
@table_options
@click.pass_obj
def list_tokens(context: Context, /, data_dir: str, **table: Any) -> None:
    """List the tokens of people, those to join with, and those of nodes. What they are is kept nowhere."""
    from orchestrator.tokens import FILE, read

    book = changed(lambda: read(Path(data_dir).expanduser() / FILE))
    items: list[dict[str, Any]] = [
        {
            "Name": one.name,
            "Kind": "user",
            "Role": one.role,
            "Namespaces": list(one.namespaces) or ["*"],
            "Created": moment(one.created),
            "Expires": moment(one.expires),
        }
        for one in book.tokens
    ]
    items += [
        {
            "Name": one.name,
            "Kind": "join",
            "Created": moment(one.created),
            "Expires": moment(one.expires),
            "Uses": one.uses if one.uses >= 0 else "any",
        }
        for one in book.joins
    ]
    items += [{"Name": one.name, "Kind": "node", "Created": moment(one.created)} for one in book.nodes]
    columns = ["Name", "Kind", "Role", "Namespaces", "Created", "Expires", "Uses"]
    rows = [[_cell(item.get(column, "")) for column in columns] for item in items]
    show_list(context, TableOptions(**table), columns, rows, body={"Items": items, "NextToken": ""})


def _cell(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


@click.command()
@click.argument("name", metavar="NAME")
@data_dir_option
@click.pass_obj
def revoke(context: Context, /, name: str, data_dir: str) -> None:
    """Make a token of a person, or one to join with, worthless at once."""
    from orchestrator import tokens

    changed(lambda: tokens.revoke(Path(data_dir).expanduser(), name))
    if context.wants_json:
        context.output.json({"Name": name})
    else:
        note(f"{name} is revoked")


@click.command()
@click.option("--ttl", default="1h", metavar="D", help="How long nodes may join with it (default: 1h).")
@click.option(
    "--uses", type=click.IntRange(min=1), default=None, metavar="N", help="How many nodes (default: any number)."
)
@click.option(
    "--revoke", "revoked", default="", metavar="NODE", help="Make the own token of this node worthless instead."
)
@data_dir_option
@click.pass_obj
def node_token(context: Context, /, ttl: str, uses: int | None, revoked: str, data_dir: str) -> None:
    """Make a token with which nodes join; each then has its own, good under its name only. It is shown now and never again."""
    from orchestrator import tokens

    directory = Path(data_dir).expanduser()
    if revoked:
        if not changed(lambda: tokens.revoke_node(directory, revoked)):
            message = f"--revoke: node {revoked} has no token"
            raise UsageError(message, hint="see: shoal token list")
        note(f"the token of node {revoked} is revoked")
        return
    secret, made = changed(lambda: tokens.create_join(directory, seconds("--ttl", ttl), uses or -1))
    if context.wants_json:
        context.output.json({"Name": made.name, "Uses": made.uses, "Expires": moment(made.expires), "Token": secret})
        return
    context.output.line(secret)
    how = "shoal node run --orchestrator URL --join-token-file FILE"
    note(f"this is shown once; it is good until {moment(made.expires)}. Join with: {how}")
