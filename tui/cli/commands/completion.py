"""`completion bash|zsh|fish`: what a shell has to know to complete command lines of ours."""

import click

from tui.cli.completion import SHELLS
from tui.cli.context import Context


@click.command()
@click.argument("shell", metavar="SHELL", type=click.Choice(sorted(SHELLS)))
@click.pass_obj
def completion(context: Context, /, shell: str) -> None:
    """Print the script for a shell.

    source <(shoal completion bash), or shoal completion fish | source
    """
    context.output.line(SHELLS[shell])
