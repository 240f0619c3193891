"""Nodes: list and get. The orchestrator itself is one of them, which runs nothing."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from orchestrator.contract.api import NodeList, cased
from orchestrator.contract.ids import NodeId
from orchestrator.contract.node import NodeState
from orchestrator.errors import AmbiguousNodeError, InvalidRequestError, NodeNotFoundError
from orchestrator.routes.backend import Backend
from orchestrator.routes.jobs import selector_of
from orchestrator.routes.views import node_of, self_node
from orchestrator.routes.wire import HttpRequest, answer, query

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
        raise InvalidRequestError(message, hint=f"one of: {', '.join(word for word in ORDERS if word)}")
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
    nodes = {node.info.node_id: node for node in all_nodes(backend)}
    found = [name for name in nodes if name.startswith(node_id)]
    if node_id in nodes:
        found = [NodeId(node_id)]
    if not found:
        raise NodeNotFoundError(node_id)
    if len(found) > 1:
        raise AmbiguousNodeError(node_id, sorted(found))
    return await answer(request, cased({"Node": nodes[found[0]]}, "Node"))


def all_nodes(backend: Backend) -> list[NodeState]:
    """The orchestrator, and every node that has ever joined."""
    nodes = [node_of(node) for node in backend.reactor.cluster.nodes.values()]
    return [self_node(backend.info, backend.started), *nodes]
