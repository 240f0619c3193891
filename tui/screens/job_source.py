"""What a job's screen knows comes from here: the feed, failure groups, and filters that only the server can answer."""

import contextlib
import sys
import time
from array import array
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from orchestrator.client import ClientError, UnreachableError
from orchestrator.contract.partitions import NO_TIME
from tui.background import begin
from tui.feed import Delta, Offline, Online, Snapshot, follow
from tui.messages import LinkChanged
from tui.model.moments import seconds_of

if TYPE_CHECKING:
    from tui.screens.job import JobPage


FRESH = 4.0
"""Seconds for which an answer about times is good enough."""


class JobSource:
    """Asks for one page."""

    def __init__(self, page: "JobPage") -> None:
        self.page = page
        self.lacks_times = False
        """Whether the server does not tell how long partitions ran."""
        self._timed = -FRESH

    async def follow(self) -> None:
        """Keep the view true for as long as the page is open; what goes wrong is told, never raised."""
        page, app = self.page, self.page.shoal
        try:
            async with aclosing(follow(app.client, page.at.job_id, page.view)) as events:
                async for event in events:
                    match event:
                        case Snapshot():
                            page.model.reload()
                            page.loaded()
                            app.link.heard(app.monotonic())
                        case Delta(indices):
                            page.model.update(indices)
                            page.wants_detail = page.wants_detail or page.pinned in indices
                            app.link.heard(app.monotonic(), len(indices))
                        case Offline(reason, pause):
                            app.link.lost(app.monotonic(), reason, pause)
                            app.tell_screens(LinkChanged())
                        case Online():
                            app.link.heard(app.monotonic())
                            app.tell_screens(LinkChanged())
        except UnreachableError as error:
            app.link.lost(app.monotonic(), error.reason, 2.0)
            app.tell_screens(LinkChanged())
            page.set_timer(2.0, page.reconnect)
        except ClientError as error:
            page.problem = error.message
            app.tell(error.message, severity="error")
            page.paint()

    async def learn(self) -> None:
        """Ask which partitions failed together."""
        page = self.page
        with contextlib.suppress(ClientError):
            found = (await page.shoal.client.failures(page.view.job_id)).items
            if found != page.model.groups:
                page.model.learn(found)
                page.show_inspector()

    def ask_times(self) -> None:
        """Ask how long partitions ran, for the lens and the table, unless that was done just now."""
        begin(self.page, "", self.learn_times)

    async def learn_times(self) -> None:
        """The same; waits for the answer. A server that does not tell leaves times unknown."""
        page, now = self.page, time.monotonic()
        if self.lacks_times or now - self._timed < FRESH:
            return
        self._timed = now
        with contextlib.suppress(ClientError):
            grid = await page.shoal.client.grid(page.view.job_id, fields="Started,Finished")
            origin = seconds_of(grid.origin)
            self.lacks_times = origin is None
            if origin is not None and grid.count == page.view.count:
                page.model.time(*spans(numbers(grid.started), numbers(grid.finished), origin, page.shoal.wall()))
                page.rows.update()
            page.paint()

    def ask_filter(self) -> None:
        """Ask what a filter takes that only the server can tell."""
        page = self.page
        begin(page, "filter", self._matches, page.model.filter_text)

    async def _matches(self, text: str) -> None:
        page = self.page
        try:
            indices: list[int] = []
            token = ""
            while True:
                found = await page.shoal.client.rows(page.view.job_id, text, limit=10_000, next_token=token)
                indices += [row.index for row in found.items]
                token = found.next_token
                if not token:
                    break
        except ClientError as error:
            page.shoal.tell(f"filter: {error.message}", severity="error")
        else:
            page.model.answer(text, indices)
            page.rows.update()


def numbers(packed: bytes) -> "array[int]":
    """The uint32 numbers of a packed field."""
    found = array("I", packed)
    if sys.byteorder == "big":
        found.byteswap()
    return found


def spans(
    started: Sequence[int], finished: Sequence[int], origin: float, now: float
) -> tuple[list[float | None], list[float | None]]:
    """When each partition began (seconds since 1970), and how long it ran, or has been running; None = it did not begin.

    `started` and `finished` are whole seconds from `origin`.
    """
    begun = [None if one == NO_TIME else origin + one for one in started]
    passed = max(0, int(now - origin))
    ran = [
        None if one == NO_TIME else float(max(0, (passed if end == NO_TIME else end) - one))
        for one, end in zip(started, finished, strict=True)
    ]
    return begun, ran
