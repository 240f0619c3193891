"""Who and how the orchestrator is: probes, Bacalhau's agent endpoints."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.response import Redirect

from orchestrator.contract.node import BuildVersion, NodeInfo
from orchestrator.errors import OrchestratorError
from orchestrator.routes.backend import VERSION, Backend
from orchestrator.routes.wire import HttpRequest, answer


class EndingError(OrchestratorError):
    """The process is about to end."""

    status = 503
    code = "ServiceUnavailable"

    def __init__(self) -> None:
        super().__init__("the orchestrator is about to end")


@get(["/", "/version"], status_code=301, include_in_schema=False)
async def to_version() -> Redirect:
    """To the version."""
    return Redirect("/api/v1/agent/version", status_code=301)


@get("/livez")
async def livez(request: HttpRequest) -> Response[bytes]:
    """The process answers."""
    return await answer(request, {"Status": "OK"})


@get("/readyz")
async def readyz(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """The process takes jobs."""
    if backend.is_closing:
        raise EndingError
    return await answer(request, {"Status": "OK"})


@get("/api/v1/agent/alive")
async def alive(request: HttpRequest) -> Response[bytes]:
    """The process answers."""
    return await answer(request, {"Status": "OK"})


@get("/api/v1/agent/version", answer=BuildVersion)
async def version(request: HttpRequest) -> Response[bytes]:
    """The build whose API this is."""
    return await answer(request, VERSION)


@get("/api/v1/agent/node", answer=NodeInfo)
async def agent_node(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """The orchestrator as a node."""
    return await answer(request, backend.info)


@get("/api/v1/agent/authconfig")
async def authconfig(request: HttpRequest) -> Response[bytes]:
    """How to sign in elsewhere: nowhere."""
    return await answer(request, {"Version": "1.0.0", "Config": {}})
