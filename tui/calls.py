"""What an orchestrator can do, found out before it is asked."""

import httpx

from orchestrator.client import OrchestratorClient


async def can_plan(client: OrchestratorClient) -> bool:
    """Whether `DryRun` of a submission is known here. One that does not know it would submit."""
    try:
        answer = await client.http.get("/schema")
        known = answer.json()["components"]["schemas"]["SubmitRequest"]["properties"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return False
    return "DryRun" in known
