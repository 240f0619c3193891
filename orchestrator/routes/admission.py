"""Who is let in: the one guard of all routes, the namespaces that a token is confined to, and nodes that join.

A token confined to namespaces reaches a job through the guard only: the route gets the full id of the job that was checked.
But for the routes of `legacy`, where the job is in the body: they see to it themselves.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import structlog
from litestar import Response, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.enums import ScopeType
from litestar.params import FromPath
from msgspec import Meta

from orchestrator.auth import (
    EVERYBODY,
    JOBS,
    NO_JOIN,
    NOBODY,
    NODES,
    ForbiddenError,
    JoinToken,
    Principal,
    UnauthorizedError,
    capability,
    judge,
    known,
)
from orchestrator.contract.overview import Me
from orchestrator.contract.spec import Spec
from orchestrator.core.cluster import JobEntry
from orchestrator.core.model import JobRecord
from orchestrator.errors import JobNotFoundError, OrchestratorError, StorageError
from orchestrator.routes.backend import VERSION, Backend
from orchestrator.routes.views import rfc3339
from orchestrator.routes.wire import HttpRequest, answer, body
from orchestrator.store.base import JobQuery
from orchestrator.tokens import TokenError, join

Connection = ASGIConnection[Any, Any, Any, Any]
WATCH = "/api/v1/orchestrator/watch"
EVENTS = "/api/v1/orchestrator/events"
CONFINED = ("/api/v1/orchestrator/",)
"""Below it are jobs: what is there and names none is closed to tokens that are confined, unless it is named here."""
RESULT = "/api/v1/orchestrator/jobs/{job_id}/results/{file}"
LINK_SECONDS = 86_400
log = structlog.get_logger()


class JoinRequest(Spec, frozen=True, kw_only=True):
    """Body of a node that joins: the SHA-256 of the token that it has made itself."""

    token_hash: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Admission:
    """The guard of one orchestrator."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    async def guard(self, connection: Connection, _: object) -> None:
        """Let a request through; for WebSockets `admit` was called before.

        Raises UnauthorizedError, ForbiddenError, and for confined tokens what finding a job does.
        """
        if connection.scope["type"] == ScopeType.HTTP:
            await self.admit(connection)

    async def admit(self, connection: Connection) -> None:
        """Note who asks as the connection's user. Raises as `guard` does."""
        scope = connection.scope
        tokens = self.backend.tokens
        keys = tokens.keys()
        if not tokens.is_exposed:
            scope["user"] = EVERYBODY
            return
        method, path = str(scope.get("method", "GET")), scope["path_template"]
        node = str(scope["path_params"].get("node_id", ""))
        key = connection.query_params.get("key", "") if path == RESULT else ""
        if key and is_linked(self.backend, str(scope["path_params"]["job_id"]), key):
            scope["user"] = NOBODY
            return
        try:
            who = judge(keys, connection.headers.get("authorization", ""), method, path, node, time.time())
            scope["user"] = who
            if who.namespaces:
                await self._confine(connection, who, method, path)
        except (UnauthorizedError, ForbiddenError) as error:
            client = connection.client.host if connection.client else ""
            log.warning("request_refused", method=method, path=scope["path"], client=client, reason=error.reason)
            raise

    async def _confine(self, connection: Connection, who: Principal, method: str, path: str) -> None:
        """Let a request through to the job that it means, if that is in one of the token's namespaces."""
        wanted = connection.scope["path_params"].get("job_id")
        if wanted is None or (wanted == "diff" and method == "PUT"):
            is_open = path in (JOBS, WATCH, EVENTS) or path.startswith(NODES)
            if path.startswith(CONFINED) and wanted is None and not is_open:
                reason = f"user '{who.name}' is confined to namespaces ({', '.join(who.namespaces)}): this tells of all"
                raise ForbiddenError(reason)
            return
        given = next((text for key, text in connection.query_params.multi_items() if key.lower() == "namespace"), "")
        entry = await entry_among(self.backend, str(wanted), (given,) if given else who.namespaces)
        refuse_other(who, entry.record.job.namespace, capability(method, path))
        params = connection.scope[
            "path_params"
        ]  # kept by the router for the next request of this path: not ours to change
        connection.scope["path_params"] = {**params, "job_id": entry.id}


async def entry_among(backend: Backend, wanted: str, namespaces: Sequence[str]) -> JobEntry:
    """The job that is meant in the first of these namespaces that has one. Raises JobNotFoundError, AmbiguousJobError."""
    for namespace in namespaces[:-1]:
        try:
            return await backend.reactor.entry(wanted, namespace)
        except JobNotFoundError:
            continue
    return await backend.reactor.entry(wanted, namespaces[-1])


def link_key(backend: Backend, job_id: str) -> str:
    """What lets whoever has it fetch a job's results for a day, until this process ends; empty where none is needed.

    Bacalhau's clients follow the addresses of results without showing who they are.
    """
    if not backend.tokens.is_required():
        return ""
    until = int(time.time()) + LINK_SECONDS
    return f"{until}.{_proof(backend, job_id, until)}"


def is_linked(backend: Backend, job_id: str, key: str) -> bool:
    """Whether a key is good for the results of a job."""
    until, _, proof = key.partition(".")
    if not (until.isascii() and until.isdigit() and len(until) < 12 and time.time() < int(until)):
        return False
    return hmac.compare_digest(proof.encode(), _proof(backend, job_id, int(until)).encode())


def _proof(backend: Backend, job_id: str, until: int) -> str:
    return hmac.new(backend.secret, f"results {job_id} {until}".encode(), hashlib.sha256).hexdigest()


def refuse_other(who: Principal, namespace: str, right: str) -> None:
    """Raises ForbiddenError where a namespace is none of the token's."""
    if not who.may_use(namespace):
        lacks = f"user '{who.name}' does not have the required capability '{right}'"
        reason = f"{lacks} in namespace {namespace}: it has it in {', '.join(who.namespaces)}"
        raise ForbiddenError(reason)


def refuse_submission(request: HttpRequest, namespace: str) -> None:
    """Raises ForbiddenError where who asks may submit nothing to a namespace."""
    refuse_other(request.scope["user"], namespace, "write:job")


async def visible_jobs(request: HttpRequest, backend: Backend, wanted: JobQuery) -> tuple[list[JobRecord], bool]:
    """A page of jobs of the namespaces that who asks may see, and whether there are more. Raises ForbiddenError."""
    who: Principal = request.scope["user"]
    for namespace in wanted.namespaces:
        refuse_other(who, namespace, "read:job")
    namespaces = wanted.namespaces or who.namespaces
    return await backend.reactor.store.jobs(msgspec.structs.replace(wanted, namespaces=namespaces))


@get("/api/v1/auth/me", answer=Me)
async def me(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """Who asks, as we see it, and what time it is here."""
    who: Principal = request.scope["user"]
    said = Me(
        name=who.name,
        roles=(str(who.role),),
        namespaces=who.namespaces or ("*",),
        time=rfc3339(backend.now()),
        version=VERSION.git_version,
    )
    return await answer(request, said)


@post("/api/v1/agents/{node_id:str}/join", status_code=200)
async def join_node(request: HttpRequest, node_id: FromPath[str], backend: NamedDependency[Backend]) -> Response[bytes]:
    """Take in a node that shows a join token: the token that it has made is good from now on, under its name."""
    asked = await body(request, JoinRequest)
    with_token = known(backend.tokens.keys(), request.headers.get("authorization", ""), time.time(), NO_JOIN)
    if not isinstance(with_token, JoinToken):
        reason = "a node joins with a join token"
        raise UnauthorizedError(reason)
    directory = backend.tokens.path.parent
    try:
        await asyncio.to_thread(join, directory, with_token.hash, node_id, asked.token_hash)
    except TokenError as error:
        raise StorageError(str(directory), str(error)) from error
    except OrchestratorError as error:
        log.warning("node_refused", node_id=node_id, reason=error.details.get("reason", error.message))
        raise
    log.info("node_joined", node_id=node_id, join_token=with_token.name)
    return await answer(request, {"NodeID": node_id})
