"""Options as Bacalhau's fingers know them: booleans that take `=true` and `=false`, and options with an optional value.

click sees all of them as options with a value; `argv` gives the value to those that were typed without one.
"""

from collections.abc import Callable, Sequence
from typing import Any

import click

from tui.cli.diagnostics import UsageError

TRUE = ("1", "t", "true")
FALSE = ("0", "f", "false")


class Optional(click.Option):
    """An option whose value may be left out, and is then `bare`. It never takes the next word."""

    def __init__(self, param_decls: Sequence[str], *, bare: str, **attrs: Any) -> None:
        super().__init__(param_decls, **attrs)
        self.bare = bare

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The line of the help: without a value for a boolean, with `[=N]` else."""
        names = ", ".join(sorted(self.opts, key=len))
        default = " (default)" if self.default is True else ""
        shown = names if isinstance(self.type, Boolean) else f"{names}[={self.make_metavar(ctx)}]"
        if self.default is True:
            shown = f"{names}[=false]"
        return shown, (self.help or "") + default


class Boolean(click.ParamType[bool]):
    """`true` and `false` as Go's flags take them."""

    name = "true|false"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """The truth value of a word."""
        if isinstance(value, bool):
            return value
        word = str(value).lower()
        if word in TRUE:
            return True
        if word not in FALSE:
            self.fail(f"found {value!r}, allowed: true, false", param, ctx)
        return False


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def flag(*names: str, default: bool = False, help: str) -> Decorator:  # noqa: A002 - click's own word
    """A boolean option: `--x`, `--x=true`, `--x=false`."""
    return click.option(*names, cls=Optional, bare="true", type=Boolean(), default=default, help=help)


def together(*decorators: Decorator) -> Decorator:
    """Several options as one decorator, shown in this order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


job_argument = click.argument("job", metavar="JOB")
"""Id, short id, name, or `@last`."""
namespace_option = click.option("--namespace", default="", help="Where the name is looked up (default: default).")
version_option = click.option(
    "-v", "--version", type=click.IntRange(min=0), default=0, help="Of this version; 0 = the latest."
)
all_versions_option = flag("--all-versions", help="Of all versions.")
output_option = click.option("--output", type=click.Choice(["json", "yaml"]), help="As a document, not for reading.")
pretty_option = flag("--pretty", help="Indent the JSON.")

object_options = together(output_option, pretty_option)
"""Of verbs that show one thing."""
table_options = together(
    click.option(
        "--output", type=click.Choice(["table", "csv", "json", "yaml"]), help="json, yaml: a bare list, as Bacalhau's."
    ),
    pretty_option,
    flag("--hide-header", help="Leave out the header of the table."),
    flag("--no-style", help="No colours."),
    flag("--wide", help="Cut nothing, full ids."),
)
"""Of verbs that list."""
order_options = together(
    click.option("--order-by", default="", help="What to sort by."),
    click.option(
        "--order-reversed", cls=Optional, bare="true", type=Boolean(), default=None, help="Turn the order round."
    ),
)
limit_option = click.option("--limit", type=click.IntRange(min=0), default=None, help="At most so many; 0 = all.")
yes_option = flag("--yes", help="Do not ask.")


def checked_labels(labels: str) -> str:
    """A label selector that the grammar takes. Raises UsageError."""
    if labels:
        from orchestrator.contract.selectors import LabelSelector

        try:
            LabelSelector.parse(labels)
        except ValueError as error:
            message = f"--labels: could not parse labels: {error}"
            raise UsageError(message) from error
    return labels
