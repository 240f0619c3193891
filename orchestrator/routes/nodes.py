"""Nodes: list, get, and what operators do to them. The orchestrator itself is one of them, which runs nothing."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec
from litestar import Response, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from orchestrator.contract.api import NodeList, cased
from orchestrator.contract.ids import NodeId
from orchestrator.contract.node import NodeState
from orchestrator.contract.spec import DURATION
from orchestrator.contract.walk import listed, nearest
from orchestrator.core.commands import Acted, Approve, Decision, DeleteNode, Drain, Reject, Undrain
from orchestrator.errors import AmbiguousNodeError, InvalidRequestError, NodeNotFoundError, StorageError
from orchestrator.routes.backend import Backend
from orchestrator.routes.jobs import selector_of
from orchestrator.routes.views import node_of, self_node
from orchestrator.routes.wire import Envelope, HttpRequest, answer, body, query
from orchestrator.tokens import TokenError, revoke_node

ORDERS: dict[str, Callable[[NodeState], object]] = {
    "": lambda node: node.info.node_id,
    "id": lambda node: node.info.node_id,
    "type": lambda node: node.info.node_type,
    "available_cpu": lambda node: -node.info.compute_node_info.available_capacity.cpu,
    "available_memory": lambda node: -node.info.compute_node_info.available_capacity.memory,
    "available_disk": lambda node: -node.info.compute_node_info.available_capacity.disk,
    "available_gpu": lambda node: -node.info.compute_node_info.available_capacity.gpu,
    "approval": lambda node: node.membership,
    "status": lambda node: node.connection,
}


class NodesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which nodes."""

    limit: Annotated[int, Meta(ge=0, lt=2**32)] = 0
    order_by: str = ""
    reverse: bool = False
    labels: tuple[str, ...] = ()
    filter_approval: str = ""
    filter_status: str = ""


@get("/api/v1/orchestrator/nodes", query=NodesQuery, answer=NodeList)
async def list_nodes(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """All nodes."""
    asked = query(request.query_params, NodesQuery)
    if asked.order_by not in ORDERS:
        message = "invalid order_by"
        allowed = ", ".join(word for word in ORDERS if word)
        raise InvalidRequestError(message, hint=f"order_by: found {asked.order_by[:60]!r}, allowed: {allowed}")
    selector = selector_of(asked.labels)
    nodes = [
        node
        for node in all_nodes(backend)
        if (selector is None or selector.matches(node.info.labels))
        and asked.filter_approval.upper() in ("", node.membership)
        and asked.filter_status.upper() in ("", node.connection)
    ]
    nodes.sort(key=lambda node: node.info.node_id)
    nodes.sort(key=ORDERS[asked.order_by], reverse=asked.reverse)  # type: ignore[arg-type] # one key, one type
    page = nodes[: asked.limit or None]
    return await answer(request, cased({"NextToken": "", "Nodes": page}, "Nodes"))


@get("/api/v1/orchestrator/nodes/{node_id:str}")
async def get_node(request: HttpRequest, node_id: FromPath[str], backend: NamedDependency[Backend]) -> Response[bytes]:
    """One node, by its id or by what only its id begins with."""
    return await answer(request, cased({"Node": one_node(backend, node_id)}, "Node"))


class ChangeRequest(Envelope, frozen=True, kw_only=True):
    """Body of an action on a node."""

    action: str = ""
    message: str = ""
    reason: str = ""
    deadline: Annotated[float, Meta(ge=0, le=31_536_000), DURATION] | None = None
    """Of a drain: seconds after which what still runs is moved; None = it may finish."""


@put("/api/v1/orchestrator/nodes/{node_id:str}", body=ChangeRequest)
async def change_node(
    request: HttpRequest, node_id: FromPath[str], backend: NamedDependency[Backend]
) -> Response[bytes]:
    """Approve, reject, delete, drain or undrain a node."""
    asked = await body(request, ChangeRequest)
    found = one_node(backend, node_id).info.node_id
    actions = actions_on(found, asked)
    if asked.action not in actions:
        message = f"Action: found {asked.action!r}, allowed: {listed(actions)}"
        raise InvalidRequestError(message, hint=nearest(asked.action, tuple(actions)))
    if found not in backend.reactor.cluster.nodes:
        message = f"node {found} is the orchestrator itself: it cannot be changed"
        raise InvalidRequestError(message)
    reply = await backend.reactor.carry_out(actions[asked.action])
    if asked.action == "delete":
        await revoke_token(backend, found)
    more = {"Running": reply.count, "ByState": reply.by_state} if isinstance(reply, Acted) else {}
    return await answer(request, cased({"Success": True, **more}, "Success"))


async def revoke_token(backend: Backend, node_id: NodeId) -> None:
    """A node that is deleted comes back only with a new join token. Raises StorageError."""
    directory = backend.tokens.path.parent
    try:
        await asyncio.to_thread(revoke_node, directory, node_id)
    except TokenError as error:
        raise StorageError(str(directory), str(error)) from error


def actions_on(node_id: NodeId, asked: ChangeRequest) -> Mapping[str, Decision]:
    """What can be asked of a node, by its word."""
    reason = asked.reason or asked.message
    return {
        "approve": Approve(node_id=node_id),
        "reject": Reject(node_id=node_id),
        "delete": DeleteNode(node_id=node_id),
        "drain": Drain(node_id=node_id, reason=reason, seconds=asked.deadline),
        "undrain": Undrain(node_id=node_id),
    }


@get("/api/v1/agent/debug")
async def debug(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """What the orchestrator knows of its nodes and of itself."""
    cluster = backend.reactor.cluster
    server = {
        "ClusterID": cluster.id,
        "Commit": backend.reactor.commit,
        "Jobs": len(cluster.jobs),
        "Executions": len(cluster.executions),
    }
    return await answer(request, {"DiscoveredNodes": all_nodes(backend), "Orchestrator": server})


def one_node(backend: Backend, wanted: str) -> NodeState:
    """The node of an id, or whose id alone begins so. Raises NodeNotFoundError, AmbiguousNodeError."""
    nodes = {node.info.node_id: node for node in all_nodes(backend)}
    found = [wanted] if wanted in nodes else [name for name in nodes if name.startswith(wanted)]
    if not found:
        raise NodeNotFoundError(wanted)
    if len(found) > 1:
        raise AmbiguousNodeError(wanted, sorted(found))
    return nodes[NodeId(found[0])]


def all_nodes(backend: Backend) -> list[NodeState]:
    """The orchestrator, and every node that has ever joined."""
    cluster, now = backend.reactor.cluster, backend.now()
    nodes = [node_of(node, cluster, now) for node in cluster.nodes.values()]
    return [self_node(backend.info, backend.started), *nodes]
