"""How lists and single things are printed: as JSON, as Bacalhau does, or as a table."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from orchestrator.contract.ids import short
from tui.cli.context import Context
from tui.cli.output import Output
from tui.cli.printable import age


class TableOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a list is to look."""

    output: str | None
    pretty: bool
    hide_header: bool
    no_style: bool
    wide: bool


class Column:
    """What is done with a cell: on a terminal ids are short and times are ages, unless `--wide`."""

    def __init__(self, output: Output, *, is_wide: bool = False) -> None:
        self.is_brief = output.is_terminal and not is_wide
        self.now = datetime.now(UTC)

    def id(self, text: str) -> str:
        """An id."""
        return short(text) if self.is_brief else text

    def time(self, text: str) -> str:
        """A time of RFC 3339."""
        return age(text, self.now) if self.is_brief else text


def show_object(context: Context, value: Any, output: str | None, *, pretty: bool, key: str = "") -> bool:
    """Print one thing as JSON or YAML if that was asked for; with `key` Bacalhau's shape is what is below it."""
    if context.wants_json:
        context.output.json(value, pretty=pretty)
        return True
    if output is None:
        return False
    inner = msgspec.to_builtins(value)[key] if key else value
    if output == "json":
        context.output.json(inner, pretty=pretty)
    else:
        context.output.yaml(inner)
    return True


def show_list(
    context: Context,
    options: TableOptions,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    body: Any,
    key: str = "Items",
) -> None:
    """Print a list: `--json` the API's `body`, `--output json|yaml` the bare list below its `key`, else the rows."""
    shape = options.output if options.output in ("json", "yaml") else None
    if show_object(context, body, shape, pretty=options.pretty, key=key):
        return
    output = context.output
    if options.no_style:
        output.has_colour = False
    if options.output == "csv":
        output.csv(columns, rows, header=not options.hide_header)
    elif options.wide:
        Output(output.stream, is_terminal=False).table(columns, rows, header=not options.hide_header)
    else:
        output.table(columns, rows, header=not options.hide_header)
