"""`agent alive`, `version`, `node`, `config`, `auth info` and `version`: the orchestrator itself."""

from typing import Any

import click

from tui.cli.context import Context
from tui.cli.diagnostics import ExitCode, warn
from tui.cli.listing import show_object
from tui.cli.options import flag, object_options, output_option, table_options
from tui.cli.printable import printable


@click.command()
@object_options
@click.pass_obj
def alive(context: Context, /, output: str | None, *, pretty: bool) -> None:
    """Ask whether the orchestrator answers. Exit code 5: it does not."""
    context.run(_alive(context, output, pretty=pretty))


async def _alive(context: Context, output: str | None, *, pretty: bool) -> None:
    async with context.client() as client:
        answer = await client.alive()
    if not show_object(context, answer, output, pretty=pretty):
        context.output.yaml(answer)


@click.command()
@object_options
@click.pass_obj
def version(context: Context, /, output: str | None, *, pretty: bool) -> None:
    """Show which build the orchestrator is."""
    context.run(_version(context, output, pretty=pretty))


async def _version(context: Context, output: str | None, *, pretty: bool) -> None:
    async with context.client() as client:
        build = await client.version()
    if not show_object(context, build, output, pretty=pretty):
        context.output.line(printable(f"Shoal {build.git_version}"))
        context.output.line(printable(f"BuildDate {build.build_date}"))
        context.output.line(printable(f"GitCommit {build.git_commit}"))


@click.command()
@object_options
@click.pass_obj
def node(context: Context, /, output: str | None, *, pretty: bool) -> None:
    """Show the orchestrator as a node."""
    context.run(_node(context, output, pretty=pretty))


async def _node(context: Context, output: str | None, *, pretty: bool) -> None:
    async with context.client() as client:
        answer = await client.agent_node()
    if not show_object(context, answer, output, pretty=pretty):
        context.output.yaml(answer)


@click.command()
@object_options
@click.pass_obj
def config(context: Context, /, output: str | None, *, pretty: bool) -> None:
    """Show the orchestrator's configuration, by Bacalhau's names."""
    context.run(_config(context, output, pretty=pretty))


async def _config(context: Context, output: str | None, *, pretty: bool) -> None:
    async with context.client() as client:
        answer = await client.agent_config()
    if not show_object(context, answer, output, pretty=pretty):
        context.output.yaml(answer)


@click.command()
@output_option
@click.pass_obj
def auth_info(context: Context, /, output: str | None) -> None:
    """Show which orchestrator is asked, and as whom."""
    context.run(_auth_info(context, output))


async def _auth_info(context: Context, output: str | None) -> None:
    async with context.client() as client:
        sign_in = await client.sign_in()
    settings = context.settings
    url, user, has_key = settings.url, settings.user, bool(settings.token and not settings.user)
    if show_object(context, {"URL": url, "APIKey": has_key, "Username": user, "SSO": sign_in}, output, pretty=False):
        return
    provider = str(sign_in.get("ProviderName") or sign_in.get("ProviderID") or "")
    for line in (
        f"Target environment: {url}",
        f"API Key: {'Set' if has_key else 'Not Set'}",
        *([f"Username: {user}"] if user else []),
        f"Server signs in by {provider}" if provider else "Server does not support SSO login",
    ):
        context.output.line(printable(line))


@click.command()
@flag("--client", "client_only", help="Do not ask the orchestrator.")
@table_options
@click.pass_obj
def versions(context: Context, /, *, client_only: bool, **table: Any) -> None:
    """Show the versions of this client and of the orchestrator, if it is there."""
    from tui.cli.listing import TableOptions

    context.run(_versions(context, TableOptions(**table), client_only=client_only))


async def _versions(context: Context, options: Any, *, client_only: bool) -> int:
    from orchestrator.client import ClientError
    from orchestrator.contract.node import BuildVersion
    from tui.cli.listing import show_list

    own = BuildVersion(git_version=_own_version(), git_commit="", build_date="", goos=_system(), goarch=_machine())
    server: BuildVersion | None = None
    if not client_only:
        try:
            async with context.client() as client:
                server = await client.version()
        except ClientError as error:
            warn(error.message)
    body = {"clientVersion": own, **({"serverVersion": server} if server else {})}
    columns = ["Client", "Server"] if server else ["Client"]
    row = [f"v{own.git_version.removeprefix('v')}", server.git_version] if server else [own.git_version]
    show_list(context, options, columns, [row], body=body, key="")
    return ExitCode.OK


def _own_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"v{version('shoal')}"
    except PackageNotFoundError:
        return "v0.0.0"


def _system() -> str:
    import sys

    return sys.platform


def _machine() -> str:
    import platform

    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
