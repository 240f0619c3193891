"""Requests of the UI that the client has no method of its own for. All raise ClientError; answers are typed."""

from urllib.parse import quote

from orchestrator.client import OrchestratorClient
from orchestrator.contract.overview import ClusterEvents, NodeChanged

ROOT = "/api/v1/orchestrator"


async def drain_node(client: OrchestratorClient, node: str, *, reason: str, deadline: float | None) -> NodeChanged:
    """Let a node take nothing new; after `deadline` seconds what still runs there moves, None = it may finish."""
    body = {"Action": "drain", "Reason": reason, "Deadline": deadline}
    return await client._put(f"{ROOT}/nodes/{quote(node, safe='')}", body, NodeChanged)  # noqa: SLF001


async def undrain_node(client: OrchestratorClient, node: str) -> NodeChanged:
    """Let a drained node take executions again."""
    return await client._put(f"{ROOT}/nodes/{quote(node, safe='')}", {"Action": "undrain"}, NodeChanged)  # noqa: SLF001


async def events(client: OrchestratorClient, *, after: str = "", job: str = "", limit: int = 0) -> ClusterEvents:
    """What happened in the cluster after a cursor, oldest first; without a cursor the newest."""
    query = {"after": after, "job": job, "limit": limit or None}
    return await client._get(f"{ROOT}/events", ClusterEvents, query)  # noqa: SLF001
