"""How the client of the REST API asks: one HTTP connection pool, repeats, errors from the envelope.

Every PUT and DELETE carries an idempotency token and is repeated when the connection is lost, so that it takes effect once.
"""

import asyncio
import base64
import ssl
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from orchestrator import client_challenge
from orchestrator.contract.api import ErrorEnvelope, Problem

T = TypeVar("T")
AUTH = "/api/v1/auth"
Query = Mapping[str, str | int | float | bool | None]

PATIENCE = 15.0
"""Seconds during which a request is repeated whose connection was lost, or of which there were too many."""
HOW_TO_REACH = "start one with: shoal devstack; or name another with --api-host and --api-port"
BEYOND = (
    (
        "/partitions/retry",
        "run single partitions again",
        "shoal job rerun JOB runs all of them again, as a new version",
    ),
    ("/partitions/stop", "stop single partitions", "shoal job stop JOB stops all of them"),
    ("/suspend", "suspend a job", "shoal job stop JOB stops it"),
    ("/resume", "suspend or resume a job", ""),
    ("/inputs", "tell which inputs an attempt had", ""),
    ("/logs/search", "search logs", "shoal job logs JOB --grep TEXT reads them all"),
    ("/log", "give a part of a log", "shoal job logs JOB reads all of it"),
    ("/events", "tell what happens in the cluster", "shoal job history JOB tells it of one job"),
)
"""What a Bacalhau cannot do: by the end of the path that asks for it, and what to do instead."""
HOW_TO_TRUST = "give --ca-file the certificate of the authority that made it, and call the name that it was made for"
TOO_MUCH = "too many requests come from this address: run fewer commands at once, or try again in a while"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ClientError(Exception):
    """The orchestrator refused a request, or its answer makes no sense.

    `status` is the HTTP status; `code`, `component`, `hint` and `problems` are those of the error envelope.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 500,
        code: str = "",
        component: str = "",
        hint: str = "",
        problems: Sequence[Problem] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.component = component
        self.hint = hint
        self.problems = tuple(problems)

    @property
    def is_missing_route(self) -> bool:
        """Whether the server has no such route (an older one, or Bacalhau), as opposed to no such job or node."""
        return self.status == httpx.codes.NOT_FOUND and self.component == "APIServer"


class UnreachableError(ClientError):
    """Nothing answers at the orchestrator's address, or the connection was lost for good."""

    def __init__(self, url: str, reason: str, hint: str = HOW_TO_REACH) -> None:
        super().__init__(f"the orchestrator at {url} is not reachable: {reason}", code="Unreachable", hint=hint)
        self.url = url
        self.reason = reason


class Connection:
    """A connection to one orchestrator; an async context manager."""

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        user: str = "",
        instance_id: str = "",
        namespace: str = "",
        ca_file: Path | None = None,
        key_file: Path | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`url` is `http://host:port`; `namespace` is where names of jobs are looked up (empty = `default`).

        `token` is shown as a bearer's, with a `user` as that user's password.
        `ca_file` (PEM) has the authorities whose certificates are trusted; None = those that this machine knows. Raises OSError.
        `key_file` is where the key is kept with which a Bacalhau's challenge is answered; None = it is not.
        """
        self.url = url.rstrip("/")
        self.namespace = namespace
        self.key_file = key_file
        self.has_partitions = True
        """Whether the server has routes for partitions; False once a Bacalhau has answered."""
        self._can_plan: bool | None = None
        self.headers = {"X-Bacalhau-InstanceID": instance_id} if instance_id else {}
        if token:
            basic = base64.b64encode(f"{user}:{token}".encode()).decode()
            self.headers["Authorization"] = f"Basic {basic}" if user else f"Bearer {token}"
        parts = urlsplit(self.url)
        self.is_local = parts.hostname in LOOPBACK
        self.tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
        self.has_own_transport = transport is not None
        """Whether requests go anywhere else than over the network."""
        self.http = httpx.AsyncClient(
            base_url=self.url,
            headers=self.headers,
            timeout=httpx.Timeout(60.0, connect=5.0),
            trust_env=not self.is_local,  # a proxy cannot reach our own loopback
            verify=self.tls or False,  # without TLS: reading the certificates takes longer than the request
            transport=transport,
        )

    def wait_at_most(self, seconds: float) -> None:
        """Give up an answer of which nothing comes for so long; else a minute."""
        self.http.timeout = httpx.Timeout(seconds, connect=min(seconds, 5.0))

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up all connections."""
        await self.http.aclose()

    async def can_plan(self) -> bool:
        """Whether the server knows `DryRun` of a submission. One that does not would submit."""
        if self._can_plan is None:
            schema = await self._send("GET", "/schema", {}, None)
            try:
                self._can_plan = "DryRun" in schema.json()["components"]["schemas"]["SubmitRequest"]["properties"]
            except (ValueError, LookupError, TypeError):
                self._can_plan = False
        return self._can_plan

    # How a request is made

    async def _get(self, path: str, answer: type[T], query: Query | None = None) -> T:
        return await self._call("GET", path, answer, query=query)

    async def _put(self, path: str, body: Mapping[str, Any], answer: type[T]) -> T:
        body = {"Namespace": self.namespace, **body, "IdempotencyToken": uuid.uuid4().hex}
        return await self._call("PUT", path, answer, body=body)

    async def _call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        query: Query | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> T:
        content = None if body is None else msgspec.json.encode(body)
        response = await self._send(method, path, self.query(query), content)
        if response.status_code == httpx.codes.UNAUTHORIZED and await self._introduce():
            response = await self._send(method, path, self.query(query), content)
        if response.status_code != httpx.codes.OK:
            error = refusal(response.status_code, response.content)
            raise not_offered(path) if error.is_missing_route else error
        try:
            return msgspec.json.decode(response.content, type=answer)
        except msgspec.MsgspecError as error:
            message = f"the answer to {method} {path} is not understood: {error}"
            raise ClientError(message, code="BadAnswer", hint="is this an orchestrator of the same version?") from error

    async def _introduce(self) -> bool:
        """Answer the server's challenge, if it has one and we have no token; whether we have one now. Raises ClientError."""
        if self.key_file is None or "Authorization" in self.headers:
            return False
        asked = await self._send("GET", AUTH, {}, None)
        try:
            found = msgspec.json.decode(asked.content, type=client_challenge.Methods).challenge()
            if asked.status_code != httpx.codes.OK or found is None:
                return False
            name, method = found
            data = await asyncio.to_thread(client_challenge.signed, method.params.phrase, self.key_file)
            body = msgspec.json.encode({"Name": name, "MethodData": data})
            answer = await self._send("POST", f"{AUTH}/{quote(name, safe='')}", {}, body)
            granted = msgspec.json.decode(answer.content, type=client_challenge.Authentication).granted
        except client_challenge.ChallengeError as error:
            raise ClientError(str(error), status=401, code="Unauthorized") from error
        except msgspec.MsgspecError:
            return False
        if not granted.success or not granted.token:
            message = f"unauthorized: {granted.reason}"
            raise ClientError(message, status=401, code="Unauthorized")
        self.headers["Authorization"] = self.http.headers["Authorization"] = f"Bearer {granted.token}"
        return True

    async def _send(self, method: str, path: str, query: Mapping[str, str], content: bytes | None) -> httpx.Response:
        """Send, and send again while the connection breaks *after* something of it worked; a first refusal is final.

        Also while the server says that this address asks too much: it has done nothing then.
        """
        give_up = time.monotonic() + PATIENCE
        headers = {} if content is None else {"Content-Type": "application/json"}
        has_begun = False
        pause = 0.1
        while True:
            try:
                response = await self.http.request(method, path, params=query, content=content, headers=headers)
                if response.status_code != httpx.codes.TOO_MANY_REQUESTS or time.monotonic() + pause > give_up:
                    return response
            except httpx.TransportError as error:
                is_final = isinstance(error, (httpx.UnsupportedProtocol, httpx.TimeoutException))
                has_begun = has_begun or not isinstance(error, httpx.ConnectError)
                if is_final or not has_begun or time.monotonic() + pause > give_up:
                    raise unreachable(self.url, error) from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)

    def query(self, query: Query | None) -> dict[str, str]:
        """The query as text; empty and absent values are left out."""
        entries = {"namespace": self.namespace, **(query or {})}
        return {
            key: ("true" if value else "false") if isinstance(value, bool) else str(value)
            for key, value in entries.items()
            if value not in (None, "")
        }


def refusal(status: int, content: bytes) -> ClientError:
    """The error that an answer other than 200 stands for."""
    try:
        envelope = msgspec.json.decode(content, type=ErrorEnvelope)
    except msgspec.MsgspecError:
        text = content[:200].decode(errors="replace").strip()
        message = f"the orchestrator answered {status}" + (f": {text}" if text else "")
        return ClientError(message, status=status, code="BadAnswer")
    said = [text for text in (envelope.message, envelope.details.get("reason", "")) if text]
    return ClientError(
        ": ".join(said) or f"the orchestrator answered {status}",
        status=envelope.status or status,
        code=envelope.code,
        component=envelope.component,
        hint=envelope.hint or (TOO_MUCH if status == httpx.codes.TOO_MANY_REQUESTS else ""),
        problems=envelope.problems,
    )


def not_offered(path: str, what: str = "") -> ClientError:
    """What a server without a route is told as."""
    known = next(((what, instead) for end, what, instead in BEYOND if path.endswith(end)), (f"answer {path}", ""))
    message = f"this orchestrator cannot {what or known[0]}: it is a Bacalhau, or an older Shoal"
    return ClientError(message, status=404, code="NotOffered", component="APIServer", hint=known[1])


def reason_of(error: Exception) -> str:
    """Why a connection failed, for people."""
    if isinstance(error, httpx.TimeoutException):
        return "it did not answer in time"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        cause = cause.__cause__ or cause.__context__
    text = str(error) or type(error).__name__
    return "connection refused" if "All connection attempts failed" in text else text


def unreachable(url: str, error: Exception) -> UnreachableError:
    """What a connection that failed is told as."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return UnreachableError(url, f"its certificate is not trusted: {cause.verify_message}", HOW_TO_TRUST)
        cause = cause.__cause__ or cause.__context__
    return UnreachableError(url, reason_of(error))
