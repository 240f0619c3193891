"""`job run` and `job validate`: a job file, checked here before anything is sent."""

import sys
from pathlib import Path
from typing import Any

import click

from orchestrator.contract.job import Job
from tui.cli.context import Context
from tui.cli.diagnostics import CommandError, ExitCode, Finding, note
from tui.cli.options import flag, together
from tui.cli.submission import INVALID, RunOptions, checked, run_options, submit
from tui.cli.template import filled, variables_of
from tui.jobfile import JobFileError, read_job_file

file_options = together(
    click.argument("file", required=False, metavar="FILE"),
    click.option("-V", "--template-vars", multiple=True, metavar="K=V", help="Put V where the file says {{.K}}."),
    click.option(
        "-E", "--template-envs", multiple=True, metavar="NAME", help="The same from environment variables: a pattern."
    ),
    flag("--no-template", help="Take {{ }} as it is."),
)
"""A job file, and how it is read: the same wherever one is."""


@click.command()
@run_options
@file_options
@click.pass_obj
def run(context: Context, /, **given: Any) -> int:
    """Submit a job file (YAML or JSON; `-` or none: stdin) and wait for its end.

    Exit code: 0 completed, 1 not, 2 the file is not valid (nothing is sent), 124 waiting timed out, 130 interrupted.
    """
    options = RunOptions(**{name: given.pop(name) for name in RunOptions.__struct_fields__})
    return submit(context, read_checked(**given), options, has_diff=True)


@click.command()
@file_options
@click.pass_obj
def validate(context: Context, /, **source: Any) -> int:
    """Check a job file (`-` or none: stdin). Nothing is sent. Exit code 2 lists every problem."""
    read_checked(**source)
    if context.wants_json:
        context.output.json({"Valid": True})
    else:
        context.output.line("OK")
    return ExitCode.OK


def read_checked(
    *, file: str | None, template_vars: tuple[str, ...], template_envs: tuple[str, ...], no_template: bool
) -> Job:
    """The checked job of a file (`-` or none: stdin), read as `file_options` say.

    Raises CommandError (2) with every problem, its path and line.
    """
    variables = None if no_template else variables_of(template_vars, template_envs)
    try:
        if file and file != "-" and variables is None:
            read = read_job_file(Path(file))
        elif file and file != "-":
            read = read_job_file(filled(_text(Path(file)), variables or {}), Path(file).parent)
        else:
            if sys.stdin.isatty():
                note("Reading from /dev/stdin; send Ctrl-d to stop.")
            read = read_job_file(_stdin() if variables is None else filled(_stdin(), variables))
    except JobFileError as error:
        message = str(error).removeprefix(f"{INVALID}: ").replace(f"line {error.line}: ", "", 1)
        problem = Finding(line=error.line, message=message)
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
