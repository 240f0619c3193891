"""The node's HTTP: every call of the agent to its orchestrator, and what a refusal means. The only module with aiohttp."""

import asyncio
import base64
import io
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

import aiohttp
import msgspec
import structlog

from node.credentials import Credentials
from orchestrator.contract.agent import LogMark, Stream, SyncRequest, SyncResponse
from orchestrator.contract.api import ErrorEnvelope
from orchestrator.contract.ids import ExecutionId, NodeId
from orchestrator.contract.job import SpecConfig

CHUNK_BYTES = 4 << 20
"""Most bytes of a log in one call."""
UPLOAD_SECONDS = 60.0
"""Without a sign of progress on an upload for so long, it is given up."""

HOW_TO_JOIN = "join with a token of `shoal node token`: --join-token-file FILE, or SHOAL_NODE_JOIN_TOKEN"
KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
)
"""A word now and then, so that what forwards the connection does not forget it, and it is given up when none comes back."""

T = TypeVar("T")
log = structlog.get_logger()


class UplinkError(Exception):
    """Base of what a call can end with, but for success."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UnreachableError(UplinkError):
    """No answer, or one that says to come back later: worth another try."""


class NotWantedError(UplinkError):
    """The orchestrator does not take this log or result any more: no use in trying again."""


class SessionConflictError(UplinkError):
    """Another session holds this node."""


class WrongClusterError(UplinkError):
    """The orchestrator is of another cluster than the journal."""


class NodeRefusedError(UplinkError):
    """The node was rejected or deleted, or its token is not good for it."""


class NotKnownError(NodeRefusedError):
    """The orchestrator wants a token, and the node has none, or one that is not good any more."""


class CannotJoinError(NodeRefusedError):
    """The join token is not good, or the name is taken."""


class LogStored(msgspec.Struct, frozen=True, rename="pascal"):
    """Answer to a piece of log: bytes of the stream that are stored so far."""

    size: int


class Uplink:
    """Calls of one session of one node. Use as an async context manager."""

    def __init__(
        self,
        orchestrator: str,
        node_id: NodeId,
        session: str,
        credentials: Credentials | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`tls` is by what the orchestrator's certificate is checked; None = by the authorities that this machine knows."""
        self.orchestrator = orchestrator.rstrip("/")
        self.session = session
        self._credentials = credentials
        self._tls = tls
        self._joining = asyncio.Lock()
        self._base = f"{self.orchestrator}/api/v1/agents/{node_id}"
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open it; nothing is sent yet."""
        headers = {"X-Shoal-Session": self.session}
        connector = aiohttp.TCPConnector(
            limit=64, keepalive_timeout=60, ssl=self._tls or True, socket_factory=kept_alive
        )
        self._http = aiohttp.ClientSession(headers=headers, connector=connector)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.close()

    async def sync(self, request: SyncRequest, patience: float) -> SyncResponse:
        """One sync, after joining where that is needed; raises UplinkError, UnreachableError also after `patience` seconds."""
        body = msgspec.json.encode(request)
        limit = aiohttp.ClientTimeout(total=patience)
        shown = self._credentials.token if self._credentials else ""
        try:
            raw = await self._call("POST", "/sync", body, limit)
        except NotKnownError:
            if self._credentials is None or not await self._join(self._credentials, shown, limit):
                raise
            raw = await self._call("POST", "/sync", body, limit)
        return self._decode(raw, SyncResponse)

    async def _join(self, credentials: Credentials, shown: str, limit: aiohttp.ClientTimeout) -> bool:
        """Get a token of our own, unless that was done since `shown` was refused; False = there is nothing to get it with."""
        async with self._joining:
            if credentials.token != shown:
                return True
            if not credentials.join_token:
                return False
            try:
                body = msgspec.json.encode({"TokenHash": credentials.to_join()})
                headers = {"Authorization": f"Bearer {credentials.join_token}"}
                await self._call("POST", "/join", body, limit, headers)
                credentials.joined()
            except OSError as error:
                message = f"{credentials.path}: {error.strerror}"
                raise CannotJoinError(message) from error
            log.info("joined", orchestrator=self.orchestrator)
            return True

    async def put_log(
        self,
        execution_id: ExecutionId,
        stream: Stream,
        offset: int,
        content: bytes,
        marks: Sequence[LogMark],
        *,
        is_gap: bool,
    ) -> int:
        """Store a piece of a log that begins at `offset`; gives the bytes stored so far. Raises UplinkError."""
        path = f"/executions/{execution_id}/logs/{stream}?offset={offset}" + ("&gap=true" if is_gap else "")
        headers = {"X-Shoal-Marks": base64.b64encode(msgspec.json.encode(marks)).decode()}
        raw = await self._call("PUT", path, content, aiohttp.ClientTimeout(total=UPLOAD_SECONDS), headers)
        return self._decode(raw, LogStored).size

    async def put_result(self, execution_id: ExecutionId, archive: Path) -> SpecConfig:
        """Store the archive of an execution's results; gives where it is now. Raises UplinkError."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=UPLOAD_SECONDS, sock_read=UPLOAD_SECONDS)
        headers = {"Content-Type": "application/gzip"}
        with archive.open("rb") as content:
            raw = await self._call("PUT", f"/executions/{execution_id}/result", content, timeout, headers)
        return self._decode(raw, SpecConfig)

    async def _call(
        self,
        method: str,
        path: str,
        body: bytes | IO[bytes],
        limit: aiohttp.ClientTimeout,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        assert self._http is not None, "use `async with`"
        sent = {"Content-Type": "application/octet-stream" if method == "PUT" else "application/json"}
        if self._credentials is not None and self._credentials.token:
            sent["Authorization"] = f"Bearer {self._credentials.token}"
        sent |= headers or {}
        try:
            async with self._http.request(
                method,
                self._base + path,
                data=io.BytesIO(body) if isinstance(body, bytes) else body,
                timeout=limit,
                headers=sent,
            ) as response:
                raw = await response.read()
                status = response.status
        except TimeoutError as error:
            message = f"{self.orchestrator} did not answer in time"
            raise UnreachableError(message) from error
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            raise UnreachableError(untrusted(self.orchestrator, error)) from error
        except (aiohttp.ClientError, OSError) as error:
            message = f"{self.orchestrator} cannot be reached: {error}"
            raise UnreachableError(message) from error
        if status == 200:
            return raw
        raise self._refusal(status, raw, path)

    def _refusal(self, status: int, raw: bytes, path: str) -> UplinkError:
        """What an answer that is not 200 means for the agent."""
        try:
            envelope = msgspec.json.decode(raw, type=ErrorEnvelope)
        except msgspec.DecodeError:
            text = raw[:200].decode(errors="replace").strip()
            return UnreachableError(f"{self.orchestrator} answered {status}: {text}")
        said = f"{envelope.message} ({envelope.hint})" if envelope.hint else envelope.message
        said = envelope.details.get("reason", said)
        match status, envelope.code:
            case 401 | 403 | 409, _ if path == "/join":
                return CannotJoinError(f"this node cannot join {self.orchestrator}: {said}")
            case 401, _:
                return NotKnownError(f"{self.orchestrator} does not know this node: {said}; {HOW_TO_JOIN}")
            case 409, "WrongCluster":
                return WrongClusterError(said)
            case 409, "ConflictNodeState":
                return SessionConflictError(said)
            case 403, _:
                return NodeRefusedError(said)
            case ((404 | 409 | 410), _) if path != "/sync":
                return NotWantedError(said)
        return UnreachableError(f"{self.orchestrator} answered {status}: {said}")

    def _decode(self, raw: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.DecodeError as error:
            message = f"{self.orchestrator} answered what is no {kind.__name__}: {error}"
            raise UnreachableError(message) from error


def kept_alive(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket for a connection that lasts."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    for option in KEEPALIVE:
        made.setsockopt(*option)
    return made


def trusting(ca_file: Path | None) -> ssl.SSLContext | None:
    """By what certificates are checked: only those of this authority count. Raises OSError for a file that has none."""
    return None if ca_file is None else ssl.create_default_context(cafile=ca_file)


def untrusted(orchestrator: str, error: Exception) -> str:
    """Why there is no TLS with the orchestrator."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {orchestrator} is not trusted: {cause.verify_message}; "
            f"give --ca-file the certificate of the authority that made it, and call the name that it was made for"
        )
    return f"no TLS with {orchestrator}: {getattr(cause, 'reason', None) or error}"
