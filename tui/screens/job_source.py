"""What a job's screen knows comes from here: the feed, failure groups, and filters that only the server can answer."""

import contextlib
from contextlib import aclosing
from typing import TYPE_CHECKING

from orchestrator.client import ClientError, UnreachableError
from tui.feed import Delta, Offline, Online, Snapshot, follow
from tui.messages import LinkChanged

if TYPE_CHECKING:
    from tui.screens.job import JobPage


class JobSource:
    """Asks for one page."""

    def __init__(self, page: "JobPage") -> None:
        self.page = page

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

    def ask_filter(self) -> None:
        """Ask what a filter takes that only the server can tell."""
        page = self.page
        page.run_worker(self._matches(page.model.filter_text), group="filter", exclusive=True, exit_on_error=False)

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
