"""`job run` and `job validate`: a job file, checked here before anything is sent."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from tui.cli.context import Context
from tui.cli.diagnostics import CommandError, ExitCode, Finding, UsageError, note
from tui.cli.options import flag
from tui.cli.submission import INVALID, RunOptions, checked, run_options, submit
from tui.jobfile import JobFileError, read_job_file

VARIABLE = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
NAME = re.compile(r"\.([A-Za-z_]\w*)", re.ASCII)


@click.command()
@click.argument("file", required=False, metavar="FILE")
@run_options
@click.option("-V", "--template-vars", multiple=True, metavar="K=V", help="Put V where the file says {{.K}}.")
@click.option(
    "-E", "--template-envs", multiple=True, metavar="NAME", help="The same from environment variables: a pattern."
)
@flag("--no-template", help="Take {{ }} as it is.")
@click.pass_obj
def run(
    context: Context,
    /,
    file: str | None,
    template_vars: tuple[str, ...],
    template_envs: tuple[str, ...],
    no_template: bool,  # noqa: FBT001 - click passes options by name
    **options: Any,
) -> int:
    """Submit a job file (YAML or JSON; `-` or none: stdin) and wait for its end.

    Exit code: 0 completed, 1 not, 2 the file is not valid (nothing is sent), 124 waiting timed out, 130 interrupted.
    """
    variables = {} if no_template else _variables(template_vars, template_envs)
    job = read_checked(file, variables)
    return submit(context, job, RunOptions(**options))


@click.command()
@click.argument("file", required=False, metavar="FILE")
@click.pass_obj
def validate(context: Context, /, file: str | None) -> int:
    """Check a job file (`-` or none: stdin). Nothing is sent. Exit code 2 lists every problem."""
    read_checked(file)
    if context.wants_json:
        context.output.json({"Valid": True})
    else:
        context.output.line("OK")
    return ExitCode.OK


def read_checked(file: str | None, variables: Mapping[str, str] = MappingProxyType({})) -> Any:
    """The checked job of a file. Raises CommandError (2) with every problem, its path and line."""
    try:
        if file and file != "-" and not variables:
            read = read_job_file(Path(file))
        elif file and file != "-":
            read = read_job_file(_filled(_text(Path(file)), variables), Path(file).parent)
        else:
            if sys.stdin.isatty():
                note("Reading from /dev/stdin; send Ctrl-d to stop.")
            read = read_job_file(_filled(_stdin(), variables))
    except JobFileError as error:
        problem = Finding(line=error.line, message=str(error).removeprefix(f"{INVALID}: "))
        raise CommandError(INVALID, ExitCode.USAGE, code="InvalidJob", problems=[problem]) from error
    return checked(read.data, read.line, is_file=True)


def _stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"stdin is no UTF-8 text (byte {error.start})"
        raise JobFileError(message) from error


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        message = f'opening job file ("{path}"): open {path}: {(error.strerror or str(error)).lower()}'
        raise JobFileError(message) from error
    except UnicodeDecodeError as error:
        message = f"{path} is no UTF-8 text (byte {error.start})"
        raise JobFileError(message) from error


def _variables(pairs: tuple[str, ...], patterns: tuple[str, ...]) -> dict[str, str]:
    """Template variables by name; explicit ones win over the environment's."""
    found: dict[str, str] = {}
    for pattern in ",".join(patterns).split(",") if patterns else ():
        try:
            matches = re.compile("^" + pattern.replace(".*", "*").replace("*", ".*") + "$").match
        except re.error as error:
            message = f"--template-envs: found {pattern!r} ({error}), allowed: a regular expression"
            raise UsageError(message) from error
        found |= {name: value for name, value in os.environ.items() if matches(name)}
    for pair in pairs:
        for part in pair.split(","):
            name, sign, value = part.partition("=")
            if not sign or not name:
                message = f"--template-vars: found {part!r}, allowed: name=value"
                raise UsageError(message)
            found[name] = value
    return found


def _filled(text: str, variables: Mapping[str, str]) -> str:
    """The text with `{{.name}}` replaced, when there are variables at all."""
    if not variables:
        return text

    def value(match: re.Match[str]) -> str:
        name = NAME.fullmatch(match[1])
        line = text.count("\n", 0, match.start()) + 1
        if name is None:
            message = f"failed to execute template: found {match[0]!r}, allowed: {{{{.name}}}} (or --no-template)"
            raise JobFileError(message, line)
        if name[1] not in variables:
            message = f"failed to execute template: no value for {name[1]!r}: give one with -V {name[1]}=..."
            raise JobFileError(message, line)
        return variables[name[1]]

    return VARIABLE.sub(value, text)
