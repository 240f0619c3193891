"""`config list` and `config set`: the client's settings; what is kept of them is in `~/.shoal/config.yaml`."""

from typing import Any
from urllib.parse import urlsplit

import click

from tui.cli.context import Context
from tui.cli.diagnostics import UsageError, note
from tui.cli.listing import TableOptions, show_list
from tui.cli.options import table_options
from tui.settings import KEYS, Settings, checked, keep, known_key, unknown_key

COLUMNS = ["Key", "Value", "Description"]


@click.command()
@table_options
@click.pass_obj
def list_config(context: Context, /, **table: Any) -> None:
    """List the settings of this client as they are in force, whoever said so; --output yaml shows them as a file has them."""
    values = in_force(context.settings)
    options = TableOptions(**table)
    if options.output == "yaml" and not context.wants_json:
        context.output.yaml(nested(values))
        return
    rows = [[key, values[key], KEYS[key]] for key in sorted(KEYS)]
    body = {"Items": [dict(zip(COLUMNS, row, strict=True)) for row in rows]}
    show_list(context, options, COLUMNS, rows, body=body)


def in_force(settings: Settings) -> dict[str, str]:
    """The settings by their names."""
    parts = urlsplit(settings.url)
    is_safe = parts.scheme == "https"
    return {
        "API.Host": parts.hostname or "",
        "API.Port": str(parts.port or (443 if is_safe else 80)),
        "API.TLS.CAFile": str(settings.ca_file or ""),
        "API.TLS.UseTLS": "true" if is_safe else "false",
        "Profile": settings.profile,
    }


def nested(values: dict[str, str]) -> dict[str, Any]:
    """What is set, a mapping in a mapping for every dot."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *above, last = key.split(".")
        place = tree
        for name in above:
            place = place.setdefault(name, {})
        if value:
            place[last] = int(value) if value.isdigit() else value == "true" if value in ("true", "false") else value
    return tree


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
        raise UsageError(unknown_key(name))
    if text:
        checked(key, text)
    path = keep(context.settings.home, key, text)
    context.output.line(f"Writing config to {path}")
