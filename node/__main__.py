"""`python -m node`: the agent of one node. Configuration, lock, journal, engines, agent: the only wiring."""

import asyncio
import fcntl
import logging
import os
import signal
import ssl
import sys
import uuid
from pathlib import Path

import structlog

from node.agent import Agent
from node.capacity import Offer, find_capacity, labels_of
from node.config import Config, read_config
from node.credentials import Credentials
from node.environment import Environment
from node.held import Held, Phase
from node.inputs.base import InputSource
from node.inputs.inline import InlineSource
from node.inputs.local import LocalSource
from node.journal import Journal
from node.present import Engines
from node.publishers.orchestrator import OrchestratorPublisher
from node.runner import Runner
from node.shipping import Shipper
from node.uplink import Uplink, UplinkError, trusting
from node.watch import OUTPUT_LIMIT
from node.workdirs import WorkDirectories
from orchestrator.contract.ids import NodeId
from orchestrator.contract.settings import ConfigError

log = structlog.get_logger()


class StartError(Exception):
    """The agent cannot start; the message says why and what to do."""


def main() -> int:
    """Run the agent of one node. Exit codes: 0 told to end, 1 it could not go on, 2 wrong configuration."""
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=("timestamp", "level", "event"), bool_as_flag=False),
        ],
    )
    try:
        config = read_config(sys.argv[1:], os.environ)
        os.environ.pop("SHOAL_NODE_JOIN_TOKEN", None)  # no task gets it, whatever may be forwarded
    except ConfigError as error:
        return _fail(str(error), 2)
    try:
        asyncio.run(serve(config))
    except (StartError, UplinkError) as error:
        return _fail(str(error), 1)
    except ExceptionGroup as broken:
        disk, bugs = broken.split(OSError)
        if bugs is not None:
            raise bugs from None
        return _fail(f"{config.directory}: {leaf(disk)}", 1)
    return 0


def leaf(error: BaseException | None) -> BaseException | None:
    """The first exception in a group of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"error: {message}\n")
    return code


async def serve(config: Config, output_limit: int = OUTPUT_LIMIT) -> None:
    """Be a node until SIGTERM or SIGINT. Raises StartError, and the UplinkError that ended it."""
    directory = config.directory
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = lock_directory(directory)
        node_id = NodeId(config.name or kept_name(directory))
        workdirs = WorkDirectories(directory)
        journal = Journal(directory / "journal")
    except OSError as error:
        message = f"data directory {directory}: {error.strerror}"
        raise StartError(message) from error
    try:
        await _run(config, node_id, journal, workdirs, output_limit)
    finally:
        journal.close()
        os.close(lock)


async def _run(config: Config, node_id: NodeId, journal: Journal, workdirs: WorkDirectories, output_limit: int) -> None:
    directory = config.directory
    try:
        tls = trusting(config.ca_file)
    except OSError as error:
        reason = "no PEM certificate is in it" if isinstance(error, ssl.SSLError) else error.strerror
        message = f"ca_file: {config.ca_file}: {reason}"
        raise StartError(message) from error
    try:
        credentials = Credentials(directory, config.join_token)
    except ValueError as error:
        raise StartError(str(error)) from error
    engines = Engines(config.engines, directory)
    try:
        await engines.look()
        if engines.missing and (config.engines or not engines.present):
            hint = "" if config.engines else "start a Docker engine, or give --engines process"
            log.warning("engines_missing", engines=",".join(engines.missing), hint=hint)
        capacity = await asyncio.to_thread(find_capacity, directory, config.capacity)
        sources: list[InputSource] = [InlineSource()]
        if config.allow_paths:
            sources.append(LocalSource(config.allow_paths))
        inputs = {name: source for source in sources for name in source.names}
        async with Uplink(config.orchestrator, node_id, str(uuid.uuid4()), credentials, tls) as uplink:
            publisher = OrchestratorPublisher(uplink)

            def changed(held: Held, before: Phase) -> None:
                agent.changed(held, before)

            runner = Runner(
                engines=engines,
                inputs=inputs,
                publishers=dict.fromkeys(publisher.names, publisher),
                environment=Environment(node_id, os.environ, config.allow_env),
                journal=journal,
                shipper=Shipper(uplink),
                workdirs=workdirs,
                output_limit=output_limit,
                changed=changed,
            )
            agent = Agent(
                node_id=node_id,
                labels=labels_of(node_id, config.labels, capacity.gpus),
                offer=Offer(
                    engines=tuple(engines.present),
                    publishers=publisher.names,
                    sources=tuple(sorted(inputs)),
                    capacity=capacity,
                ),
                engines=engines,
                runner=runner,
                journal=journal,
                uplink=uplink,
                workdirs=workdirs,
            )
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, agent.leave)
            await agent.run()
    finally:
        await engines.close()


def lock_directory(directory: Path) -> int:
    """Take the data directory; the descriptor holds it. Raises StartError naming who has it."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(descriptor, 32).decode(errors="replace").strip()
        os.close(descriptor)
        message = f"data directory {directory} is in use by the agent with pid {holder or 'unknown'}: stop it, or give --data-dir"
        raise StartError(message) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor


def kept_name(directory: Path) -> str:
    """The name that a node without one got when its data directory was made."""
    path = directory / "name"
    if not path.exists():
        path.write_text(f"n-{uuid.uuid4()}", encoding="ascii")
    return path.read_text(encoding="ascii").strip()


if __name__ == "__main__":
    sys.exit(main())
