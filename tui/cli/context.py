"""What a verb works with: the settings, stdout, the client, and how coroutines are run."""

import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from tui.cli.diagnostics import UsageError
from tui.cli.output import Output
from tui.settings import Settings

if TYPE_CHECKING:
    from orchestrator.client import OrchestratorClient

T = TypeVar("T")

LAST = "@last"
INSTANCE_KEY = "bacalhau.org/client.instance.id"
"""Key of a job's Meta: the installation that submitted it."""


class Context:
    """One invocation of the CLI."""

    def __init__(self, settings: Settings, output: Output, *, wants_json: bool) -> None:
        self.settings = settings
        self.output = output
        self.wants_json = wants_json

    def client(self, namespace: str = "") -> "OrchestratorClient":
        """A client of the orchestrator of the settings; the verb closes it (`async with`)."""
        # httpx imports its own command line, with rich and pygments, where it can: a tenth of the start that no verb needs
        sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
        from tui.connect import client_of

        return client_of(self.settings, namespace)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a verb's coroutine to its end. Ctrl-C cancels it: KeyboardInterrupt, unless the verb says more of it."""
        import asyncio

        return asyncio.run(coroutine)


async def named(client: "OrchestratorClient", job: str, instance_id: str) -> str:
    """What to ask the orchestrator for: `@last` is the newest job that was submitted from here, else the text itself.

    Raises CommandError (3) when there is none.
    """
    from tui.cli.diagnostics import CommandError, ExitCode

    if not job:
        message = "JOB is empty: give an id, a short id, a name, or @last"
        raise UsageError(message)
    if job != LAST:
        if job.startswith("@"):
            message = f"job: found {job!r}, allowed: an id, a short id, a name, or {LAST}"
            raise UsageError(message)
        return job
    from orchestrator.client_stream import every_job

    async for item in every_job(client):
        if instance_id and item.meta.get(INSTANCE_KEY) == instance_id:
            return item.id
    message = f"job not found: {LAST} (no job was submitted from here)"
    raise CommandError(message, ExitCode.NOT_FOUND, hint="list jobs with: shoal job list")
