"""A job opened with a filter: the partitions of a failure group, or of a node, at once."""

from tui.places import Focus
from tui.screens.job import JobPage


class MatchesPage(JobPage, inherit_bindings=False):
    """`at.argument` is the selection that it begins with."""

    BINDINGS = JobPage.BINDINGS

    def __init__(self, focus: Focus) -> None:
        super().__init__(focus)
        self._begins_with = focus.argument

    def loaded(self) -> None:
        """With the first snapshot: filter."""
        super().loaded()
        text, self._begins_with = self._begins_with, ""
        if text:
            try:
                self.take_filter(text)
            except ValueError as error:
                self.shoal.tell(str(error), severity="error")
