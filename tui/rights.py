"""What whoever holds the token may do here, as the orchestrator says; where it does not say, everything is offered."""

from orchestrator.client import ClientError, OrchestratorClient, UnreachableError
from orchestrator.contract.overview import Me
from tui.bindings import ACTING

ROLES = ("viewer", "operator", "admin")
"""Each may do what those before it may."""


class Rights:
    """Of one profile; asked for whenever the connection is made anew."""

    def __init__(self) -> None:
        self.me: Me | None = None
        """None = not told: a Bacalhau has no such question."""

    async def ask(self, client: OrchestratorClient) -> None:
        """Ask again. Raises UnreachableError."""
        try:
            self.me = await client.me()
        except UnreachableError:
            raise
        except ClientError:
            self.me = None

    @property
    def user(self) -> str:
        """Who that is; empty = not known, or no tokens are wanted."""
        return self.me.name if self.me else ""

    @property
    def is_viewer(self) -> bool:
        """Whether nothing may be changed."""
        return not self._has("operator")

    def may(self, action: str) -> bool:
        """Whether an action of `ACTING` is allowed."""
        return self._has(ACTING[action])

    def _has(self, role: str) -> bool:
        if self.me is None:
            return True
        return any(one in ROLES and ROLES.index(one) >= ROLES.index(role) for one in self.me.roles)
