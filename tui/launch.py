"""`shoal tui`, and `shoal` alone on a terminal: flags, settings, and whether a full screen can be had at all."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from tui.cli.diagnostics import CommandError, UsageError, report
from tui.options import RATE, THEMES, Options
from tui.profiles import Profile, read
from tui.settings import Settings, SettingsError, load


def is_terminal(environ: Mapping[str, str]) -> bool:
    """Whether a full screen can be had: all three streams are terminals, and not a dumb one."""
    if environ.get("TEXTUAL_DRIVER", "").endswith(":WebDriver"):
        return True
    has_all = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    return has_all and environ.get("TERM", "") not in ("", "dumb")


@click.command(help="Open the terminal UI; with JOB at once on that job.")
@click.option("--api-host", default="", help="The orchestrator's host or URL.")
@click.option("--api-port", default="", help="Its port.")
@click.option("--ca-file", default="", help="PEM: whose certificates to trust.")
@click.option("--profile", default="", help="A name in ~/.shoal/profiles.yaml.")
@click.option("--read-only", is_flag=True, help="Nothing can be changed from here.")
@click.option("--theme", type=click.Choice(THEMES), show_default="the profile's, else dark")
@click.option("--ascii", "is_ascii", is_flag=True, help="Draw with ASCII only.")
@click.option(
    "--fps", type=click.FloatRange(0.2, 60), default=RATE, show_default=True, help="Pictures a second at most."
)
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal.")
@click.option("--bell", is_flag=True, help="Ring the terminal's bell, and change its title, when a job fails.")
@click.option("--keymap", type=click.Path(path_type=Path), help="A YAML file of binding ids and keys.")
@click.option(
    "--record", type=click.Path(path_type=Path), help="Record JOB, or else the first job opened, into a file."
)
@click.option("--replay", type=click.Path(path_type=Path), help="Show a recording instead of an orchestrator.")
@click.option("--web", is_flag=True, help="Serve it on the loopback for a browser (needs shoal[web]).")
@click.option("--web-port", type=click.IntRange(1, 65_535), default=8000, show_default=True, help="The port for that.")
@click.option("--web-write", is_flag=True, help="Let the browser change things, too.")
@click.argument("job", default="")
def options(**flags: object) -> Mapping[str, object]:
    """The flags as they were given."""
    return flags


def launch(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Open the app with the flags of `shoal tui`; returns the exit code."""
    try:
        flags = _flags(argv)
        if flags is None:
            return 0
        chosen = _read(flags, environ)
        if flags["web"]:
            if chosen.record:
                message = "--record and --web together: each visitor would write that file; record in a terminal"
                raise UsageError(message)
            return _serve(chosen, port=flags["web_port"], may_write=flags["web_write"])
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


def _flags(argv: Sequence[str]) -> dict[str, Any] | None:
    """The flags as they were given; None = only help was wanted."""
    try:
        flags = options.main(args=list(argv), prog_name="shoal tui", standalone_mode=False)
    except click.ClickException as error:
        raise UsageError(error.format_message(), hint="see: shoal tui --help") from error
    return flags if isinstance(flags, dict) else None


def _serve(chosen: Options, *, port: int, may_write: bool) -> int:
    try:
        from tui.web import serve  # noqa: PLC0415 - an extra that need not be there
    except ImportError as error:
        message = f"--web needs a further package ({error.name})"
        raise UsageError(message, hint="install it: pip install 'shoal[web]'") from error
    if chosen.settings.token and not chosen.settings.user:
        os.environ["SHOAL_API_KEY"] = chosen.settings.token
    return serve(chosen, port=port, may_write=may_write)


def _read(flags: dict[str, Any], environ: Mapping[str, str]) -> Options:
    """The options of the flags."""
    try:
        settings = load(
            environ,
            host=flags["api_host"],
            port=flags["api_port"],
            ca_file=flags["ca_file"],
            profile=flags["profile"],
        )
    except SettingsError as error:
        raise UsageError(str(error)) from error
    profile = _profile(settings)
    _check_recording(flags["record"], flags["replay"])
    return Options(
        settings=settings,
        source=f"profile {profile.name}" if profile else _source(flags, environ),
        profile=profile.name if profile else "local",
        job=flags["job"],
        read_only=flags["read_only"] or (profile is not None and profile.read_only),
        is_protected=profile is not None and profile.protected,
        is_read_only_asked=flags["read_only"],
        is_ascii=flags["is_ascii"] or needs_ascii(environ),
        theme=flags["theme"] or (profile.theme if profile else "") or THEMES[0],
        fps=flags["fps"],
        mouse=not flags["no_mouse"],
        bell=flags["bell"],
        keymap=flags["keymap"],
        record=flags["record"],
        replay=flags["replay"],
    )


def _profile(settings: Settings) -> Profile | None:
    """The profile that the settings are of; None = of none."""
    if not settings.profile:
        return None
    return next((one for one in read(settings.home)[0] if one.name == settings.profile), None)


def _check_recording(record: Path | None, replay: Path | None) -> None:
    """Refuse what could only fail later."""
    if record and replay:
        message = "--record and --replay together: use one of them"
        raise UsageError(message)
    if record and os.path.lexists(record.expanduser()):
        message = f"--record: {record} is there already: name a new file"
        raise UsageError(message)


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
