"""The UI in a browser: `shoal tui --web`. One process of the app a visitor; needs the extra `shoal[web]`.

textual-serve itself asks nobody who they are. So here: only our own address as Host, only our own page as Origin, and the
token of the printed address, which is good once and becomes a cookie of that browser.
"""

import hmac
import logging
import os
import secrets
import shlex
import signal
import socket
import sys
from collections.abc import Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web_runner import GracefulExit
from textual_serve.server import Server

from tui.options import RATE, Options

COOKIE = "shoal-session"
HOST = "127.0.0.1"


class ShoalServer(Server):
    """Refuses (403) whoever comes by another name, from another page, or without the token."""

    def __init__(self, command: str, port: int) -> None:
        super().__init__(command, host=HOST, port=port, title="shoal", public_url=f"http://{HOST}:{port}")
        self.token = secrets.token_urlsafe(24)
        self._is_token_spent = False
        self._session = secrets.token_urlsafe(24)

    @property
    def address(self) -> str:
        """What to open in the browser, once."""
        return f"{self.public_url}/?token={self.token}"

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard())
        return app

    def _guard(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            origin = request.headers.get("Origin")
            if request.headers.get("Host") != f"{self.host}:{self.port}":
                raise web.HTTPForbidden(text="refused: this server has another address\n")
            if origin != self.public_url and (origin is not None or request.path == "/ws"):
                raise web.HTTPForbidden(text="refused: only the page of this server may do that\n")
            if hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), self._session.encode()):
                return await handler(request)
            offered = request.query.get("token", "")
            is_right = hmac.compare_digest(offered.encode(), self.token.encode())
            if request.path != "/" or not is_right or self._is_token_spent:
                raise web.HTTPForbidden(
                    text="refused: open the address that shoal printed; it is good for one browser\n"
                )
            self._is_token_spent = True
            answer = web.HTTPSeeOther("/")
            answer.set_cookie(COOKIE, self._session, httponly=True, samesite="Strict", path="/")
            raise answer

        return guard

    async def on_startup(self, app: web.Application) -> None:  # noqa: ARG002 - textual-serve's signature
        """Say where it is."""
        sys.stderr.write(f"shoal in a browser: {self.address}\n")
        sys.stderr.flush()

    def request_exit(self) -> None:
        """End."""
        raise GracefulExit


def command_of(options: Options, *, may_write: bool) -> str:
    """The command of one visitor's process: what this one was told, and of a profile its name, since it may be protected.

    The token of the API goes by the environment or is the profile's, never on a command line.
    """
    settings = options.settings
    paths = {"--ca-file": settings.ca_file, "--keymap": options.keymap, "--replay": options.replay}
    words: Sequence[str] = (
        *(sys.executable, "-m", "tui", "tui", "--theme", options.theme),
        *(("--profile", settings.profile) if settings.profile else ("--api-host", settings.url)),
        *(word for flag, path in paths.items() if path for word in (flag, str(path.expanduser().absolute()))),
        *(("--fps", str(options.fps)) if options.fps != RATE else ()),
        *(("--ascii",) if options.is_ascii else ()),
        *(() if may_write and not options.read_only else ("--read-only",)),
        *((options.job,) if options.job else ()),
    )
    return shlex.join(words)


def serve(options: Options, *, port: int, may_write: bool) -> int:
    """Serve until interrupted; returns the exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    try:
        socket.create_server((HOST, port)).close()
        ShoalServer(command_of(options, may_write=may_write), port).serve()
    except OSError as error:
        sys.stderr.write(f"Error: port {port} of {HOST} cannot be used: {os.strerror(error.errno or 0)}\n")
        return 1
    return 0
