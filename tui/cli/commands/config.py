"""`config list` and `config set`: what of the client's settings is kept, in `~/.shoal/config.yaml`."""

from typing import Any

import click

from tui.cli.context import Context
from tui.cli.diagnostics import UsageError, nearest, note
from tui.cli.listing import TableOptions, show_list
from tui.cli.options import table_options
from tui.settings import KEYS, checked_url, keep, kept, known_key

COLUMNS = ["Key", "Value", "Description"]


@click.command()
@table_options
@click.pass_obj
def list_config(context: Context, /, **table: Any) -> None:
    """List the settings of this client, and what is kept of them."""
    said = kept(context.settings.home)
    rows = [[key, said.get(key, ""), KEYS[key]] for key in sorted(KEYS)]
    body = {"Items": [dict(zip(COLUMNS, row, strict=True)) for row in rows]}
    show_list(context, TableOptions(**table), COLUMNS, rows, body=body)


@click.command()
@click.argument("pair", metavar="KEY=VALUE")
@click.argument("value", required=False)
@click.pass_obj
def set_config(context: Context, /, pair: str, value: str | None) -> None:
    """Keep a setting; an empty value forgets it. Flags and the environment win over what is kept."""
    name, sign, text = pair.partition("=")
    if value is not None and not sign:
        note("DEPRECATED: use key=value instead of space-separated key value")
        text = value
    elif not sign:
        message = f"found {pair!r}, allowed: KEY=VALUE"
        raise UsageError(message)
    key = known_key(name)
    if key is None:
        guess = nearest(name, list(KEYS))
        message = f"unknown setting {name!r}, allowed: {', '.join(sorted(KEYS))}"
        raise UsageError(message, hint=f"did you mean {guess}" if guess else "")
    if text and key == "API.Host":
        checked_url(key, text)
    path = keep(context.settings.home, key, text)
    context.output.line(f"Writing config to {path}")
