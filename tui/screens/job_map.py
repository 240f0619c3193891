"""The job under the cursor of a list as one line of cells: the grid's own model, followed only while somebody looks at it."""

from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from textual.timer import Timer
from textual.worker import Worker

from orchestrator.client import ClientError
from tui.background import begin
from tui.feed import Delta, JobView, Offline, Online, Snapshot, follow
from tui.model.job import JobModel
from tui.widgets.lines import Piece

if TYPE_CHECKING:
    from tui.screens.jobs import JobsPage

REST = 0.4
"""Seconds that the cursor stays on a job before it is asked for."""
CELLS = 100
"""Cells at most; half of them where the terminal is narrow."""
TITLE = " map  "


class JobMap:
    """Of one page. `look_at` whatever is under the cursor, as often as that may have changed; `leave` when nobody looks."""

    def __init__(self, page: "JobsPage") -> None:
        self.page = page
        self.job_id = ""
        self.model = JobModel(JobView())
        self._rest: Timer | None = None
        self._worker: Worker[None] | None = None

    def look_at(self, job_id: str) -> None:
        """Show this job from now on; what was on the way for another one is given up."""
        if job_id != self.job_id:
            self.leave()
            self.job_id = job_id
            if job_id:
                self._rest = self.page.set_timer(REST, self._begin)

    def leave(self) -> None:
        """Ask nothing more."""
        self.job_id = ""
        self.model = JobModel(JobView())
        if self._rest is not None:
            self._rest.stop()
        if self._worker is not None:
            self._worker.cancel()

    def _begin(self) -> None:
        self._worker = begin(self.page, "map", self._follow)

    async def _follow(self) -> None:
        """A grid, then its changes; of a job that has ended, or where changes are not told, the grid alone."""
        client, model = self.page.shoal.client, self.model
        with suppress(ClientError):
            async with aclosing(follow(client, self.job_id, model.view)) as events:
                async for event in events:
                    match event:
                        case Snapshot():
                            model.reload()
                        case Delta(indices):
                            model.update(indices)
                        case Offline() | Online():
                            pass  # line 1 tells of that
                    if model.view.is_terminal or not client.has_partitions:
                        return

    def line(self) -> list[Piece]:
        """The cells; nothing while the job is not known."""
        model, count = self.model, self.model.view.count
        if not count:
            return []
        width = self.page.size.width - len(TITLE)
        room = CELLS if width >= CELLS else CELLS // 2
        model.show(-(-count // room))
        model.settle()
        cells = self.page.shoal.palette.pieces(bytes(model.level.codes))
        each = f"  {model.scale:,}/cell"
        is_told = model.scale > 1 and model.level.cells + len(each) <= width
        return [(TITLE, "muted"), *cells, (each if is_told else "", "muted")]
