"""Requests of the UI that the client has no method of its own for. All raise ClientError; answers are typed."""

from urllib.parse import quote

import httpx
import msgspec

from orchestrator.client import NOT_SUBMITTED, OrchestratorClient
from orchestrator.contract.job import Job
from orchestrator.contract.overview import ClusterEvents, NodeChanged
from orchestrator.contract.plan import Plan

ROOT = "/api/v1/orchestrator"


async def drain_node(client: OrchestratorClient, node: str, *, reason: str, deadline: float | None) -> NodeChanged:
    """Let a node take nothing new; after `deadline` seconds what still runs there moves, None = it may finish."""
    body = {"Action": "drain", "Reason": reason, "Deadline": deadline}
    return await client._put(f"{ROOT}/nodes/{quote(node, safe='')}", body, NodeChanged)  # noqa: SLF001


async def undrain_node(client: OrchestratorClient, node: str) -> NodeChanged:
    """Let a drained node take executions again."""
    return await client._put(f"{ROOT}/nodes/{quote(node, safe='')}", {"Action": "undrain"}, NodeChanged)  # noqa: SLF001


async def events(client: OrchestratorClient, *, after: str = "", limit: int = 0) -> ClusterEvents:
    """What happened in the cluster after a cursor, oldest first; without a cursor the newest."""
    query = {"after": after, "limit": limit or None}
    return await client._get(f"{ROOT}/events", ClusterEvents, query)  # noqa: SLF001


async def can_plan(client: OrchestratorClient) -> bool:
    """Whether `DryRun` of a submission is known here. One that does not know it would submit."""
    try:
        answer = await client.http.get("/schema")
        known = answer.json()["components"]["schemas"]["SubmitRequest"]["properties"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return False
    return "DryRun" in known


async def plan(client: OrchestratorClient, job: Job) -> Plan:
    """What submitting a job would do. Only to be asked of an orchestrator that `can_plan`."""
    spec = {key: value for key, value in msgspec.to_builtins(job).items() if key not in NOT_SUBMITTED}
    return await client._put(f"{ROOT}/jobs", {"Job": spec, "DryRun": True}, Plan)  # noqa: SLF001
