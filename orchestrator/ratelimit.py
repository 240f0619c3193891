"""How much one address may ask: a bucket of requests for each, before anything else looks at them."""

from collections.abc import Iterable
from time import monotonic
from typing import Any

import msgspec
from litestar.types import ASGIApp, Receive, Scope, Send

from orchestrator.app import request_id
from orchestrator.contract.api import ErrorEnvelope

RATE = 1000
"""Requests a second."""
BURST = 1000
"""Requests at once."""
UNLIMITED = "/api/v1/agents/"
"""Nodes: all behind one router have one address, a sync that is refused costs them their leases, and they pace themselves."""
JOIN = "/join"
"""But for how the path ends by which one becomes a node: there a token may be tried out, and who is refused asks again."""


class Buckets:
    """A bucket for each address; those that are full again are forgotten."""

    def __init__(self, rate: float = RATE, burst: float = BURST) -> None:
        self.pause = 1 / rate
        self.depth = burst / rate
        """Seconds in which an empty bucket is full."""
        self.turned = float("-inf")
        self.young: dict[str, float] = {}
        """When each bucket is full, of the addresses that asked since `turned`."""
        self.old: dict[str, float] = {}
        """The same of those that asked last in the time before, as long."""

    def admits(self, address: str, now: float) -> bool:
        """Whether one more request of an address is taken at `now` (seconds, never going back)."""
        if now >= self.turned + self.depth:
            # who has not asked for `depth` is full again; after two of them nobody has
            self.old = self.young if now < self.turned + 2 * self.depth else {}
            self.young = {}
            self.turned = now
        full = self.young.get(address)
        if full is None:
            full = self.old.get(address, now)
        full = max(full, now) + self.pause
        if full > now + self.depth + self.pause / 2:  # half a request: what is rounded away in adding up
            return False
        self.young[address] = full
        return True


def limited(app: ASGIApp) -> ASGIApp:
    """The same server, in which an address that asks too much gets 429. A stream and a WebSocket count once, at their opening."""
    buckets = Buckets()

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        address = scope["client"][0] if scope["client"] else ""
        path = scope["path"]
        is_node = path.startswith(UNLIMITED) and not path.rstrip("/").endswith(JOIN)
        if is_node or buckets.admits(address, monotonic()):
            await app(scope, receive, send)
        else:
            await refuse(scope["type"], scope["headers"], send)

    return run


async def refuse(kind: str, headers: Iterable[tuple[bytes, bytes]], send: Send) -> None:
    """Answer without having looked; a WebSocket too, which is not opened."""
    given = next((value for key, value in headers if key == b"x-request-id"), b"")
    envelope = ErrorEnvelope(
        status=429,
        message="rate limit exceeded",
        request_id=given.decode("latin-1"),
        code="InternalError",
        component="APIServer",
    )
    content = msgspec.json.encode(envelope) + b"\n"
    own = [(b"content-type", b"application/json"), (b"vary", b"Origin"), (b"x-request-id", request_id(given))]
    if kind == "http":
        own.append((b"content-length", str(len(content)).encode()))
    answer = "http.response" if kind == "http" else "websocket.http.response"
    sending: Any = send  # the answer to a WebSocket is an extension of ASGI that Litestar's types do not know
    await sending({"type": f"{answer}.start", "status": 429, "headers": own})
    await sending({"type": f"{answer}.body", "body": content})
