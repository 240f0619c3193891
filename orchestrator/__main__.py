"""`python -m orchestrator`: configuration, store, reactor, server: the only wiring."""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import ssl
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import structlog
import uvicorn
import uvloop

from orchestrator.app import create_app
from orchestrator.config import Config, is_loopback, read_config, refuse_exposure
from orchestrator.contract.ids import NodeId
from orchestrator.contract.settings import ConfigError
from orchestrator.errors import OrchestratorError
from orchestrator.ratelimit import limited
from orchestrator.reactor import Reactor
from orchestrator.results import Results
from orchestrator.routes.backend import Backend
from orchestrator.store.base import Store
from orchestrator.store.memory import MemoryStore
from orchestrator.store.sqlite import SqliteStore
from orchestrator.tls import Certificate, reason_of
from orchestrator.tokens import FILE, TokenError, Tokens, read

KEEPALIVE = (
    ((socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1),
    ((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE), 30),
    ((socket.IPPROTO_TCP, socket.TCP_KEEPINTVL), 10),
    ((socket.IPPROTO_TCP, socket.TCP_KEEPCNT), 4),
)
"""A word now and then on silent connections, so that what forwards them forgets none and the dead are seen; in seconds."""
log = structlog.get_logger()


class StartError(Exception):
    """The orchestrator cannot start; the message says why and what to do."""


def main() -> int:
    """Run the orchestrator. Exit codes: 0 told to end, 1 it could not go on, 2 wrong configuration."""
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
        if not is_loopback(config.host):
            refuse_exposure(config, has_tokens=read(config.data_dir / FILE).is_required)
    except (ConfigError, TokenError) as error:
        return _fail(str(error), 2)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(config))
    except (StartError, OrchestratorError) as error:
        return _fail(str(error), 1)
    except ExceptionGroup as bugs:
        log.critical("orchestrator_failed", exc_info=bugs)
        return _fail(
            "the orchestrator has failed; its log above says where. What was acknowledged is kept: start it again", 1
        )
    except OSError as error:
        return _fail(f"{error.filename or config.data_dir}: {error.strerror or error}", 1)
    return 0


async def serve(config: Config) -> None:
    """Run the orchestrator until SIGTERM or SIGINT.

    Raises StartError, StoreError where the store fails, StorageError, OSError for a data directory that cannot be used.
    """
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    listener = listen(config.host, config.port)
    try:
        config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        store: Store = MemoryStore() if config.store == "memory" else await SqliteStore.open(config.data_dir)
        try:
            await run(config, store, listener, ending)
        finally:
            await store.close()
    finally:
        listener.close()


async def run(config: Config, store: Store, listener: socket.socket, ending: asyncio.Event) -> None:
    """Run reactor and server on an open store and a bound socket until `ending` is set. Raises as `serve` does."""
    directory = config.data_dir
    node_id = await asyncio.to_thread(identity, directory)
    reactor = Reactor(store, node_id, lease=config.lease, fence=config.fence, approves_by_hand=config.manual_approval)
    await reactor.start()
    results = await Results.open(directory / "results", config.max_result)
    tokens = Tokens(directory, is_exposed=not is_loopback(config.host))
    backend = Backend(reactor, directory / "logs", results, node_id, tokens)
    server = Server(server_config(backend, tls_of(config)))
    broken: list[OrchestratorError] = []

    async def react() -> None:
        try:
            await reactor.run()
        except OrchestratorError as error:
            broken.append(error)
            ending.set()

    async with asyncio.TaskGroup() as tasks:
        work = [tasks.create_task(react()), tasks.create_task(backend.follow_ends())]
        serving = tasks.create_task(server.serve(sockets=[listener]))
        host, port = listener.getsockname()[:2]
        scheme = "https" if config.tls_cert else "http"
        address = f"[{host}]" if ":" in host else host
        log.info(
            "listening", url=f"{scheme}://{address}:{port}", id=node_id, data_dir=str(directory), store=config.store
        )
        await ending.wait()
        log.info("ending")
        backend.close()
        server.should_exit = True
        await serving
        for task in work:
            task.cancel()
    for error in broken:
        raise error


class Server(uvicorn.Server):
    """uvicorn without its own signal handlers: whoever waits here is answered before connections are closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the caller."""
        yield


def tls_of(config: Config) -> ssl.SSLContext | None:
    """What TLS is spoken by. Raises StartError."""
    if config.tls_cert is None or config.tls_key is None:
        return None
    try:
        return Certificate(config.tls_cert, config.tls_key).context()
    except OSError as error:
        files = f"tls_cert {config.tls_cert}, tls_key {config.tls_key}"
        message = f"{files}: {reason_of(error)}; allowed: a certificate and its key as PEM files without a password"
        raise StartError(message) from error


def server_config(backend: Backend, tls: ssl.SSLContext | None) -> uvicorn.Config:
    """How HTTP is spoken."""
    return uvicorn.Config(
        limited(create_app(backend)),
        loop="uvloop",
        ssl_context_factory=None if tls is None else lambda *_: tls,
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises StartError where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle on
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for option, value in KEEPALIVE:  # what is accepted has them too
        listener.setsockopt(*option, value)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        hint = "another program has it; give --port another one" if error.errno == errno.EADDRINUSE else error.strerror
        message = f"cannot listen on {host}:{port}: {hint}"
        raise StartError(message) from error
    listener.setblocking(False)  # noqa: FBT003 - its only argument
    return listener


def identity(directory: Path) -> NodeId:
    """What this orchestrator calls itself: made once, kept in its data directory. Raises OSError."""
    path = directory / "orchestrator-id"
    with contextlib.suppress(FileNotFoundError):
        kept = path.read_text(encoding="utf-8").strip()
        if kept:
            return NodeId(kept)
    node_id = NodeId(f"n-{uuid.uuid4()}")
    path.write_text(f"{node_id}\n", encoding="utf-8")
    return node_id


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"error: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
