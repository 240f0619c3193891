"""The client of the orchestrator that settings name: CLI and terminal UI make theirs here."""

from orchestrator.client import OrchestratorClient
from tui.settings import Settings


def client_of(settings: Settings, namespace: str = "") -> OrchestratorClient:
    """A client; whoever asks closes it. `namespace` is where names of jobs are looked up (empty = `default`)."""
    client = OrchestratorClient(
        settings.url,
        token=settings.token,
        user=settings.user,
        instance_id=settings.instance_id(),
        namespace=namespace,
        ca_file=settings.ca_file,
        key_file=settings.home / "user_id.pem",
    )
    if settings.timeout:
        client.wait_at_most(settings.timeout)
    return client
