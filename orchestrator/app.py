"""The REST server: routes, headers, errors as envelopes."""

import re
import secrets
import string
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import msgspec
import structlog
from litestar import Litestar, Response
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.enums import MediaType, ScopeType
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

from orchestrator.auth import JOBS
from orchestrator.contract.api import MAX_BODY, ErrorEnvelope
from orchestrator.errors import (
    InvalidJobError,
    InvalidRequestError,
    JobNotFoundError,
    NodeNotFoundError,
    OrchestratorError,
)
from orchestrator.routes import (
    acting,
    admission,
    agents,
    auth,
    configuration,
    events,
    health,
    holding,
    inputs,
    jobs,
    legacy,
    listing,
    logs,
    nodes,
    overview,
    partitions,
    reasons,
    results,
    schema,
    search,
    versions,
    watch,
)
from orchestrator.routes.backend import VERSION, Backend
from orchestrator.routes.wire import HttpRequest, escaped

HANDLERS = [
    schema.schema,
    health.to_version,
    health.livez,
    health.readyz,
    health.alive,
    health.version,
    health.agent_node,
    health.authconfig,
    configuration.agent_config,
    nodes.debug,
    auth.list_methods,
    auth.get_method,
    auth.authenticate,
    admission.me,
    jobs.submit_job,
    jobs.list_jobs,
    jobs.get_job,
    jobs.stop_job,
    jobs.list_versions,
    versions.rerun_job,
    versions.diff_job,
    holding.suspend_job,
    holding.resume_job,
    holding.patch_job,
    listing.list_history,
    listing.list_executions,
    listing.list_results,
    results.get_result,
    partitions.get_partitions,
    partitions.get_partition,
    acting.retry_partitions,
    acting.stop_partitions,
    reasons.list_failures,
    reasons.explain,
    watch.watch_job,
    inputs.get_inputs,
    search.search_logs,
    logs.get_log,
    logs.no_socket,
    logs.stream_logs,
    nodes.list_nodes,
    nodes.get_node,
    overview.watch_cluster,
    events.list_events,
    nodes.change_node,
    legacy.submit,
    legacy.cancel,
    legacy.list_jobs,
    legacy.states,
    legacy.events,
    legacy.results,
    admission.join_node,
    agents.sync,
    agents.put_log,
    agents.put_result,
]
HEADERS = [
    (b"vary", b"Origin"),
    (b"x-bacalhau-git-version", VERSION.git_version.encode()),
    (b"x-bacalhau-git-commit", VERSION.git_commit.encode()),
    (b"x-bacalhau-build-date", b"1970-01-01 00:00:00 +0000 UTC"),
    (b"x-bacalhau-build-os", VERSION.goos.encode()),
    (b"x-bacalhau-arch", VERSION.goarch.encode()),
]
OLDEST_CLIENT = (1, 4, 0)
SLASHED = re.compile(rb"/api/v1/orchestrator/(?P<kind>jobs|nodes)/(?P<name>[^/?]*%2[fF][^/?]*)")
SEMVER = re.compile(r"v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})([-+][0-9A-Za-z.+-]*)?", re.ASCII)
NO_ROUTE = {
    "message": "The requested resource/URL was not found.",
    "hint": "The server version may be older than this CLI version and does not support the endpoint yet.",
    "details": {
        "cli_usage": "If you are using the CLI, try updating your server to a newer version or check if the command is "
        "supported in your server version."
    },
}
MESSAGES = {405: "Method Not Allowed", 413: f"Request Entity Too Large: allowed: {MAX_BODY} bytes"}
log = structlog.get_logger()


def create_app(backend: Backend) -> Litestar:
    """The server of one orchestrator, whose reactor is started and run by the caller."""
    admitted = admission.Admission(backend)

    def sockets(app: ASGIApp) -> ASGIApp:
        """Who may not open a WebSocket is answered as over HTTP, before there is one."""

        async def run(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == ScopeType.WEBSOCKET:
                connection: ASGIConnection[Any, Any, Any, Any] = ASGIConnection(scope, receive, send)
                try:
                    await admitted.admit(connection)
                except OrchestratorError as error:
                    await deny(send, refuse(connection, error))
                    return
            await app(scope, receive, send)

        return run

    return Litestar(
        HANDLERS,
        dependencies={"backend": Provide(lambda: backend, sync_to_thread=False, use_cache=True)},
        exception_handlers={
            OrchestratorError: refuse,
            HTTPException: refuse_request,
            Exception: refuse_bug,
        },
        guards=[admitted.guard],
        middleware=[sockets],
        before_request=check_client,
        before_send=[add_headers],
        request_max_body_size=MAX_BODY,
        logging_config=None,
        openapi_config=None,
    )


async def deny(send: Send, response: Response[bytes]) -> None:
    """Answer the request for a WebSocket with something else; an extension of ASGI that Litestar's types do not know."""
    sending: Any = send
    headers = [(b"content-type", b"application/json"), *HEADERS]
    await sending({"type": "websocket.http.response.start", "status": response.status_code, "headers": headers})
    await sending({"type": "websocket.http.response.body", "body": response.content})


def refuse(request: ASGIConnection[Any, Any, Any, Any], error: Exception) -> Response[bytes]:
    """An error of ours as an envelope."""
    assert isinstance(error, OrchestratorError)
    problems = error.problems if isinstance(error, InvalidJobError | InvalidRequestError) else ()
    if isinstance(error, auth.UnknownMethodError):
        return no_route(request)
    return enveloped(
        ErrorEnvelope(
            status=error.status,
            message=error.message,
            request_id=request.headers.get("x-request-id", ""),
            code=error.code,
            component=error.component,
            hint=error.hint,
            details=dict(error.details),
            problems=problems,
        )
    )


def no_route(request: ASGIConnection[Any, Any, Any, Any]) -> Response[bytes]:
    """404 for a path that means nothing."""
    known: dict[str, Any] = {**NO_ROUTE, "request_id": request.headers.get("x-request-id", "")}
    return enveloped(ErrorEnvelope(status=404, code="NotFound", component="APIServer", **known))


def refuse_request(request: HttpRequest, error: Exception) -> Response[bytes]:
    """What the server itself does not take: unknown paths, wrong methods, bodies that are too large."""
    assert isinstance(error, HTTPException)
    status = error.status_code
    if status == 404:
        missing = no_such_name(request.scope["raw_path"])
        return refuse(request, missing) if missing else no_route(request)
    if status >= 500:
        log.info("request_broken_off", path=request.url.path, reason=error.detail)
        status = 400
    message = MESSAGES.get(status, error.detail)
    answer = enveloped(
        ErrorEnvelope(
            status=status,
            message=message,
            request_id=request.headers.get("x-request-id", ""),
            code="InternalError" if status in MESSAGES else "BadRequest",
            component="APIServer",
        )
    )
    if status == 405:
        known = (error.headers or {}).get("allow", "")
        methods = known.split(", ") if known else ALLOWED[request.scope["path_template"]]
        answer.set_header("Allow", allowed(request.scope["path"], methods))
    return answer


def no_such_name(raw_path: bytes) -> OrchestratorError | None:
    """What is not there by a name with a slash in it (%2F), as no job and no node has; None = it is the path that is not."""
    found = SLASHED.match(raw_path)
    if found is None:
        return None
    name = unquote(found["name"].decode(errors="replace"))
    return JobNotFoundError(name) if found["kind"] == b"jobs" else NodeNotFoundError(name)


def refuse_bug(request: HttpRequest, error: Exception) -> Response[bytes]:
    """A fault of ours: logged whole, answered without its insides."""
    log.error("request_failed", path=request.url.path, method=request.method, exc_info=error)
    return enveloped(
        ErrorEnvelope(
            status=500,
            message="Internal server error",
            request_id=request.headers.get("x-request-id", ""),
            code="InternalError",
            component="Unknown",
            hint="the orchestrator's log says more",
        )
    )


def enveloped(envelope: ErrorEnvelope) -> Response[bytes]:
    """An error's answer."""
    content = escaped(msgspec.json.encode(envelope)) + b"\n"
    return Response(content, status_code=envelope.status, media_type=MediaType.JSON)


def check_client(request: HttpRequest) -> Response[dict[str, str]] | None:
    """Refuse clients that are too old to understand the answers; those that say no version are welcome."""
    text = request.headers.get("x-bacalhau-git-version", "")
    if not text or text == "v0.0.0-xxxxxxx":
        return None
    found = SEMVER.fullmatch(text)
    if found is None:
        return Response({"Error": f"Invalid client version {text}"}, status_code=400, media_type=MediaType.JSON)
    version = tuple(int(number) for number in found.groups()[:3])
    if version == (0, 0, 0) or version >= OLDEST_CLIENT:
        return None
    content = {
        "Error": "Client version is outdated. Update your client",
        "MinVersion": "1.4.0",
        "ClientVersion": text,
        "ServerVersion": VERSION.git_version,
    }
    return Response(content, status_code=403, media_type=MediaType.JSON)


def methods_by_path() -> dict[str, set[str]]:
    """The methods of every path, as the router writes it: of a path with several handlers Litestar's OPTIONS names only some."""
    found: dict[str, set[str]] = {}
    for handler in HANDLERS:
        if isinstance(handler, HTTPRouteHandler):
            for path in handler.paths:
                found.setdefault(re.sub(r":\w+}", "}", path), {"OPTIONS"}).update(handler.http_methods)
    return found


ALLOWED = methods_by_path()


def allowed(path: str, known: Iterable[str]) -> str:
    """What `Allow` says. What the router has also for `jobs/diff`, other jobs have not."""
    methods = {method for method in known if method.isupper()}
    if path.startswith(f"{JOBS}/") and path.count("/") == JOBS.count("/") + 1 and not path.endswith("/diff"):
        methods.discard("PUT")
    return ", ".join(sorted(methods))


def request_id(sent: bytes) -> bytes:
    """What a request is called in its answer: as it called itself, else anew."""
    return sent or "".join(secrets.choice(string.ascii_letters) for _ in range(32)).encode()


async def add_headers(message: Message, scope: Scope) -> None:
    """Give every answer the headers of the server, and the request its id back."""
    if message["type"] != "http.response.start":
        return
    start: HTTPResponseStartEvent = message
    sent = next((value for key, value in scope["headers"] if key == b"x-request-id"), b"")
    start["headers"] = [*start["headers"], *HEADERS, (b"x-request-id", request_id(sent))]
    if scope.get("method") == "OPTIONS" and start["status"] == 204:
        others = (one for one in start["headers"] if one[0] != b"allow")
        start["headers"] = [
            *others,
            (b"allow", allowed(scope["path"], ALLOWED[scope["path_template"]]).encode()),
        ]
