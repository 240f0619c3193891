"""The node's HTTP: every call of the agent to its orchestrator, and what a refusal means. The only module with aiohttp."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

import aiohttp
import msgspec

from orchestrator.contract.agent import LogMark, Stream, SyncRequest, SyncResponse
from orchestrator.contract.api import ErrorEnvelope
from orchestrator.contract.ids import ExecutionId, NodeId
from orchestrator.contract.job import SpecConfig

CHUNK_BYTES = 4 << 20
"""Most bytes of a log in one call."""
UPLOAD_SECONDS = 60.0
"""Without a sign of progress on an upload for so long, it is given up."""

T = TypeVar("T")


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
    """The node was rejected or deleted."""


class LogStored(msgspec.Struct, frozen=True, rename="pascal"):
    """Answer to a piece of log: bytes of the stream that are stored so far."""

    size: int


class Uplink:
    """Calls of one session of one node. Use as an async context manager."""

    def __init__(self, orchestrator: str, node_id: NodeId, session: str) -> None:
        self.orchestrator = orchestrator.rstrip("/")
        self.session = session
        self._base = f"{self.orchestrator}/api/v1/agents/{node_id}"
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open it; nothing is sent yet."""
        headers = {"X-Shoal-Session": self.session}
        connector = aiohttp.TCPConnector(limit=64, keepalive_timeout=60)
        self._http = aiohttp.ClientSession(headers=headers, connector=connector)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.close()

    async def sync(self, request: SyncRequest, patience: float) -> SyncResponse:
        """One sync; raises UplinkError, UnreachableError also when `patience` seconds passed."""
        body = msgspec.json.encode(request)
        raw = await self._call("POST", "/sync", body, aiohttp.ClientTimeout(total=patience))
        return self._decode(raw, SyncResponse)

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
        sent = {"Content-Type": "application/octet-stream" if method == "PUT" else "application/json"} | (headers or {})
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
        except (aiohttp.ClientError, OSError) as error:
            message = f"{self.orchestrator} cannot be reached: {error}"
            raise UnreachableError(message) from error
        if status == 200:
            return raw
        raise self._refusal(status, raw, is_sync=path == "/sync")

    def _refusal(self, status: int, raw: bytes, *, is_sync: bool) -> UplinkError:
        """What an answer that is not 200 means for the agent."""
        try:
            envelope = msgspec.json.decode(raw, type=ErrorEnvelope)
        except msgspec.DecodeError:
            text = raw[:200].decode(errors="replace").strip()
            return UnreachableError(f"{self.orchestrator} answered {status}: {text}")
        said = f"{envelope.message} ({envelope.hint})" if envelope.hint else envelope.message
        match status, envelope.code:
            case 409, "WrongCluster":
                return WrongClusterError(said)
            case 409, "ConflictNodeState":
                return SessionConflictError(said)
            case 403, _:
                return NodeRefusedError(said)
            case ((404 | 409 | 410), _) if not is_sync:
                return NotWantedError(said)
        return UnreachableError(f"{self.orchestrator} answered {status}: {said}")

    def _decode(self, raw: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.DecodeError as error:
            message = f"{self.orchestrator} answered what is no {kind.__name__}: {error}"
            raise UnreachableError(message) from error
