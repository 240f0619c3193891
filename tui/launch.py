"""`shoal tui`, and `shoal` alone on a terminal: flags, settings, and whether a full screen can be had at all."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from tui.cli.diagnostics import CommandError, UsageError, report
from tui.options import RATE, Options
from tui.settings import SettingsError, load

THEMES = ("dark", "light", "high-contrast", "monochrome")


def is_terminal(environ: Mapping[str, str]) -> bool:
    """Whether a full screen can be had: all three streams are terminals, and not a dumb one."""
    has_all = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    return has_all and environ.get("TERM", "") not in ("", "dumb")


@click.command(help="Open the terminal UI; with JOB at once on that job.")
@click.option("--api-host", default="", help="The orchestrator's host or URL.")
@click.option("--api-port", default="", help="Its port.")
@click.option("--read-only", is_flag=True, help="Nothing can be changed from here.")
@click.option("--theme", type=click.Choice(THEMES), default="dark", show_default=True)
@click.option("--ascii", "is_ascii", is_flag=True, help="Draw with ASCII only.")
@click.option(
    "--fps", type=click.FloatRange(0.2, 60), default=RATE, show_default=True, help="Pictures a second at most."
)
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal.")
@click.option("--keymap", type=click.Path(path_type=Path), help="A YAML file of binding ids and keys.")
@click.option("--record", type=click.Path(path_type=Path), help="Record JOB into a file, to be replayed.")
@click.option("--replay", type=click.Path(path_type=Path), help="Show a recording instead of an orchestrator.")
@click.argument("job", default="")
def options(**flags: object) -> Mapping[str, object]:
    """The flags as they were given."""
    return flags


def launch(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Open the app with the flags of `shoal tui`; returns the exit code."""
    try:
        chosen = _read(argv, environ)
        if chosen is None:
            return 0
        if not is_terminal(environ):
            message = "the terminal UI needs a terminal on stdin, stdout and stderr"
            raise UsageError(message, hint="for scripts there is: shoal job list --json")
    except CommandError as error:
        return report(error, as_json=False)
    from tui.opening import run  # noqa: PLC0415 - the toolkit is loaded only when it is used

    try:
        return run(chosen)
    except CommandError as error:
        return report(error, as_json=False)


def _read(argv: Sequence[str], environ: Mapping[str, str]) -> Options | None:
    """The options; None = only help was wanted."""
    try:
        flags = options.main(args=list(argv), prog_name="shoal tui", standalone_mode=False)
    except click.ClickException as error:
        raise UsageError(error.format_message(), hint="see: shoal tui --help") from error
    if not isinstance(flags, dict):
        return None
    try:
        settings = load(environ, host=flags["api_host"], port=flags["api_port"])
    except SettingsError as error:
        raise UsageError(str(error)) from error
    if flags["record"] and not flags["job"]:
        message = "--record needs a job: shoal tui JOB --record FILE"
        raise UsageError(message)
    return Options(
        settings=settings,
        source=_source(flags, environ),
        job=flags["job"],
        read_only=flags["read_only"],
        is_ascii=flags["is_ascii"] or needs_ascii(environ),
        theme=flags["theme"],
        fps=flags["fps"],
        mouse=not flags["no_mouse"],
        keymap=flags["keymap"],
        record=flags["record"],
        replay=flags["replay"],
    )


def needs_ascii(environ: Mapping[str, str]) -> bool:
    """Whether the terminal cannot be trusted with more than ASCII: the kernel's console, or a locale that is not UTF-8."""
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    is_other = bool(locale) and locale not in ("C", "POSIX") and "utf" not in locale.lower()
    return environ.get("TERM") == "linux" or is_other


def _source(flags: Mapping[str, object], environ: Mapping[str, str]) -> str:
    for name in ("--api-host", "--api-port"):
        if flags[name[2:].replace("-", "_")]:
            return name
    names = ("SHOAL_API_HOST", "SHOAL_API_PORT", "BACALHAU_API_HOST", "BACALHAU_API_PORT")
    return next((name for name in names if environ.get(name)), "the default")
