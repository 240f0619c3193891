"""How the line to the orchestrator stands, and the words for it. It never ends the app, and nothing waits for it."""

import enum

from tui.model.moments import countdown, short_duration

STALE_AFTER = 12.0
"""Seconds of silence: heartbeats come every ten."""
RESUMED_FOR = 5.0


class LinkState(enum.Enum):
    """What the operator can rely on."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"
    OFFLINE = "offline"
    REFUSED = "refused"


class Link:
    """Told of every answer and of every failure, with times of a monotonic clock in seconds."""

    def __init__(self) -> None:
        self.state = LinkState.CONNECTING
        self.reason = ""
        self.rtt: float | None = None
        """Seconds of the last short request."""
        self.has_connected = False
        self._heard = 0.0
        self._since = 0.0
        self._retry_at = 0.0
        self._resumed = -RESUMED_FOR
        self._caught_up = 0

    @property
    def is_usable(self) -> bool:
        """Whether acting makes sense."""
        return self.state in (LinkState.LIVE, LinkState.STALE)

    def heard(self, now: float, changes: int = 0) -> None:
        """Something arrived."""
        if self.state is LinkState.OFFLINE and self.has_connected:
            self._resumed, self._caught_up = now, 0
        if now - self._resumed < RESUMED_FOR:
            self._caught_up += changes
        self.state = LinkState.LIVE
        self.has_connected = True
        self._heard = now
        self.reason = ""

    def lost(self, now: float, reason: str, pause: float) -> None:
        """The connection broke; it is tried again after `pause` seconds."""
        if self.state is not LinkState.OFFLINE:
            self._since = now
        self.state = LinkState.OFFLINE
        self.reason = reason
        self._retry_at = now + pause

    def refused(self, reason: str) -> None:
        """The orchestrator does not let us in: trying again cannot help."""
        self.state = LinkState.REFUSED
        self.reason = reason

    def look(self, now: float) -> LinkState:
        """The state by now: silence makes a live link stale."""
        if self.state is LinkState.LIVE and now - self._heard > STALE_AFTER:
            self.state = LinkState.STALE
        return self.state

    def retry_in(self, now: float) -> float:
        """Seconds until the next attempt to connect."""
        return max(0.0, self._retry_at - now)

    def offline_for(self, now: float) -> float:
        """Seconds since the connection broke."""
        return now - self._since

    def text(self, now: float) -> str:
        """What line 1 says, without the mark before it."""
        match self.look(now):
            case LinkState.CONNECTING:
                return "connecting"
            case LinkState.LIVE:
                if now - self._resumed < RESUMED_FOR:
                    return f"resumed +{self._caught_up:,} events"
                return "live"
            case LinkState.STALE:
                return f"stale {short_duration(now - self._heard)}"
            case LinkState.OFFLINE:
                wait = int(self.retry_in(now)) + 1
                return f"offline {countdown(self.offline_for(now))}, retry in {wait} s (R now)"
            case LinkState.REFUSED:
                return "refused (R again)"


MARKS = {
    LinkState.CONNECTING: ("◌", "o"),
    LinkState.LIVE: ("●", "*"),
    LinkState.STALE: ("◌", "o"),
    LinkState.OFFLINE: ("✕", "x"),
    LinkState.REFUSED: ("✕", "x"),
}
"""The mark before the words, and the one for ASCII."""
