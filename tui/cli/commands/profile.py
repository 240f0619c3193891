"""`profile list`, `show`, `save`, `select`, `delete`: orchestrators by name."""

from typing import Any

import click

from orchestrator.contract.units import format_duration
from tui.cli.context import Context
from tui.cli.diagnostics import UsageError, ask, can_ask
from tui.cli.listing import TableOptions, show_list
from tui.cli.options import flag, table_options
from tui.cli.printable import printable
from tui.cli.profiles import Profiles
from tui.profiles import Profile, seconds

HIDDEN = "********"
name_argument = click.argument("name", metavar="NAME")


@click.command()
@table_options
@click.pass_obj
def list_profiles(context: Context, /, **table: Any) -> None:
    """List the profiles; * is the one in use."""
    profiles = Profiles(context.settings.home)
    current = profiles.current()
    found = profiles.all()
    body = {"Items": [_plain(one, current) for one in found]}
    rows = [["*" if one.name == current else "", one.name, one.url, "token" if one.token else "none"] for one in found]
    options = TableOptions(**table)
    if not found and not context.wants_json and options.output in (None, "table"):
        context.output.line("No profiles found")
        return
    show_list(context, options, ["Current", "Name", "Endpoint", "Auth"], rows, body=body)


@click.command()
@click.argument("name", metavar="NAME", required=False)
@flag("--show-token", help="Show the token itself.")
@click.pass_obj
def show(context: Context, /, name: str | None, *, show_token: bool) -> None:
    """Show a profile; without a name the one in use."""
    profiles = Profiles(context.settings.home)
    wanted = name or profiles.current()
    if not wanted:
        message = "no profile is in use: name one"
        raise UsageError(message, hint="shoal profile list")
    found = profiles.load(wanted)
    token = (found.token if show_token else HIDDEN) if found.token else "none"
    if context.wants_json:
        context.output.json(_plain(found, profiles.current()) | {"Token": token if found.token else ""})
        return
    lines = {
        "Name": found.name,
        "Endpoint": found.url,
        "Auth": token,
        "TLS": "certificates are checked" if found.url.startswith("https:") else "",
        "Timeout": format_duration(found.timeout) if found.timeout else "",
        "Description": found.description,
        "May act": "no" if found.read_only else "",
    }
    for label, text in lines.items():
        if text:
            context.output.line(printable(f"{label + ':':<13}{text}"))


@click.command()
@name_argument
@click.option("--endpoint", metavar="URL", help="http://host:port of the orchestrator.")
@click.option("--token", help="The token to be sent; empty = none.")
@click.option("--description", metavar="TEXT", help="What it is; empty = none.")
@click.option("--timeout", metavar="DURATION", help="How long an answer may take, like 30s; empty = 60 s.")
@flag("--insecure", help="Refused: certificates are always checked.")
@flag("--select", help="Use it from now on.")
@click.pass_obj
def save(
    context: Context, /, name: str, *, endpoint: str | None, insecure: bool, select: bool, **given: str | None
) -> None:
    """Make a profile, or change what is given of one."""
    profiles = Profiles(context.settings.home)
    if insecure:
        message = "--insecure: found true, allowed: false: certificates are always checked"
        raise UsageError(message, hint="--ca-file names who made yours")
    if given["timeout"]:
        seconds("--timeout", given["timeout"])
    profiles.save(name, {"url": endpoint or None, **given})
    if select:
        profiles.select(name)
    _tell(context, name, f'Profile "{name}" saved')


@click.command()
@name_argument
@click.pass_obj
def select(context: Context, /, name: str) -> None:
    """Use a profile from now on."""
    Profiles(context.settings.home).select(name)
    _tell(context, name, f'Switched to profile "{name}"')


@click.command()
@name_argument
@flag("-f", "--force", help="Do not ask.")
@click.pass_obj
def delete(context: Context, /, name: str, *, force: bool) -> None:
    """Forget a profile."""
    profiles = Profiles(context.settings.home)
    profiles.load(name)
    if not force and can_ask() and not ask(f'Delete profile "{name}"?'):
        return
    profiles.delete(name)
    _tell(context, name, f'Profile "{name}" deleted')


def _tell(context: Context, name: str, text: str) -> None:
    if context.wants_json:
        context.output.json({"Name": name})
    else:
        context.output.line(text)


def _plain(profile: Profile, current: str) -> dict[str, Any]:
    return {
        "Name": profile.name,
        "Endpoint": profile.url,
        "HasToken": bool(profile.token),
        "ReadOnly": profile.read_only,
        "Protected": profile.protected,
        "Current": profile.name == current,
        "Timeout": profile.timeout,
        "Description": profile.description,
    }
