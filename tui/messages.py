"""Messages that go from one screen or widget to others; those of one widget alone are nested in it."""

from textual.message import Message


class LinkChanged(Message):
    """The line to the orchestrator stands differently: see `app.link`."""

    def can_replace(self, message: Message) -> bool:
        """Only the newest counts."""
        return isinstance(message, LinkChanged)


class OverviewChanged(Message):
    """Jobs or nodes of the cluster changed: see `app.overview`."""

    def can_replace(self, message: Message) -> bool:
        """Only the newest counts."""
        return isinstance(message, OverviewChanged)
