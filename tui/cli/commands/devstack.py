"""`devstack`: an orchestrator and nodes on this machine, each a process of its own, in the foreground."""

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.contract.units import MAX_SECONDS, duration
from tui.cli.context import Context
from tui.cli.diagnostics import CommandError, ExitCode, UsageError
from tui.settings import MAX_PORT

if TYPE_CHECKING:
    from tui.cli.stack import Child


@click.command()
@click.option("--nodes", type=click.IntRange(min=1, max=100), default=3, help="How many nodes (default: 3).")
@click.option("--engines", default="process", metavar="LIST", help="What they run: docker,process (default: process).")
@click.option(
    "--port", type=click.IntRange(min=1, max=MAX_PORT), default=1234, help="Of the orchestrator (default: 1234)."
)
@click.option("--data-dir", default=None, metavar="DIR", help="Where everything is kept (default: ~/.shoal/devstack).")
@click.option("--lease", default=None, metavar="D", help="How long a node's word counts, e.g. 5s.")
@click.option("--allow-path", multiple=True, metavar="GLOB[:rw]", help="What local inputs may read.")
@click.pass_obj
def devstack(context: Context, /, nodes: int, engines: str, port: int, **given: Any) -> int:
    """Run an orchestrator and nodes here, and print `ready http://127.0.0.1:PORT` when every node is there.

    The machine's capacity is divided among the nodes. A process that dies is started again. Ctrl-C takes all of it down.
    Logs of the processes are in the data directory.
    """
    from tui.cli.stack import Stack

    lease: str | None = given["lease"]
    if lease is not None:
        _check_lease(lease)
    directory = (
        Path(given["data_dir"]).expanduser().absolute() if given["data_dir"] else context.settings.home / "devstack"
    )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"--data-dir: {directory}: {error.strerror}"
        raise UsageError(message) from error
    _check_port(port)
    flags = ["--port", str(port), "--data-dir", str(directory / "orchestrator")]
    if lease is not None:
        flags += ["--lease", lease]
    url = f"http://127.0.0.1:{port}"
    share = _share(nodes, directory)
    children = [_child("orchestrator", "orchestrator", directory, flags)]
    for number in range(1, nodes + 1):
        name = f"n{number}"
        own = ["--orchestrator", url, "--name", name, "--data-dir", str(directory / name), "--engines", engines, *share]
        own += [word for path in given["allow_path"] for word in ("--allow-path", path)]
        children.append(_child(name, "node", directory, own))
    return context.run(Stack(context, url, children).run())


def _child(name: str, module: str, directory: Path, flags: list[str]) -> "Child":
    from tui.cli.stack import Child

    return Child(name, [sys.executable, "-m", module, *flags], directory / f"{name}.log")


def _check_lease(lease: str) -> None:
    try:
        is_positive = 0 < duration(lease) <= MAX_SECONDS
    except ValueError:
        is_positive = False
    if not is_positive:
        message = f"--lease: found {lease!r}, allowed: a duration above 0, like 5s"
        raise UsageError(message)


def _check_port(port: int) -> None:
    """Tell at once when something else listens there."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            message = f"port {port} of 127.0.0.1 cannot be used: {(error.strerror or str(error)).lower()}"
            raise CommandError(
                message, ExitCode.CONFLICT, hint="is a devstack running already? --port takes another"
            ) from error


def _share(nodes: int, directory: Path) -> list[str]:
    """Flags that give a node its part of this machine."""
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    disk = shutil.disk_usage(directory).free
    return [
        "--cpu",
        f"{max(cores * 1000 // nodes, 1)}m",
        "--memory",
        str(memory // nodes),
        "--disk",
        str(disk // nodes),
    ]
