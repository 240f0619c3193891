"""Reads a partition's log for its screen: attempt after attempt, waiting for what has not begun.

A page that follows goes from the newest attempt on into the next one, whoever asked for it; any other stays where it is and
knows that there is a newer one. That something may have changed is told by the job's line in the cluster's watch (`heard`).
"""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from orchestrator.client import ClientError
from orchestrator.contract.ids import ExecutionId, NodeId
from orchestrator.contract.partitions import LIVE_WORDS, UNSETTLED_WORDS, Attempt, PartitionDetail
from tui import logfeed
from tui.model.jobs import JobLine
from tui.model.logtext import LogText

if TYPE_CHECKING:
    from tui.screens.log import LogPage

SOONEST = 1.0
"""Seconds between two looks at the partition, however much its job changes."""
LATEST = 10.0
"""The same while nothing is heard."""


class LogSource:
    """Reads for one page."""

    def __init__(self, page: "LogPage") -> None:
        self.page = page
        self._line: JobLine | None = None
        self._news = asyncio.Event()

    def heard(self) -> None:
        """The cluster's watch told of something: look at the partition again if it was about its job."""
        if self._known() != self._line:
            self.look()

    def _known(self) -> JobLine | None:
        return self.page.shoal.overview.lines.get(self.page.at.job_id)

    def look(self) -> None:
        """Look at the partition again: it may stand otherwise by now."""
        self._news.set()

    async def read(self, wanted: int) -> None:
        """Fill the page's text for as long as the page is open; what goes wrong is told, never raised."""
        page, client = self.page, self.page.shoal.client
        pause = 0.5
        goes_on: bool | None = None
        is_open = False
        while True:
            try:
                attempt = await self._find(wanted)
                if attempt is None:
                    await self._change()
                    continue
                if goes_on is None:
                    goes_on = not page.newer(attempt)
                elif page.attempt and attempt.attempt != page.attempt.attempt and page.text.count:
                    page.text.note(f"attempt {attempt.attempt} on {attempt.node_id}")
                    page.fresh += 1
                page.attempt = attempt
                async for step in logfeed.read(client, page.at.job_id, page.at.partition, attempt.attempt, page.text):
                    match step:
                        case logfeed.More(lines):
                            page.fresh += lines
                        case logfeed.CaughtUp() if not is_open:
                            is_open = True
                            page.opened(is_over=attempt.state not in LIVE_WORDS)
                        case logfeed.CaughtUp():
                            page.message = ""
                        case logfeed.Before(left, lines):
                            page.came_before(left, lines)
                wanted = await self._next(attempt, goes_on=goes_on)
            except ClientError as error:
                page.message = error.message
                if not _passes(error):
                    page.paint()
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, 5.0)
                if page.text.count:
                    wanted, is_open = page.attempt.attempt if page.attempt else wanted, False
                    page.text = LogText()
                    page.log_view.replace(page.text)

    async def _find(self, wanted: int) -> Attempt | None:
        """The attempt to read; None = there is none yet, and the message says why."""
        page, client = self.page, self.page.shoal.client
        detail = await self._look()
        row = detail.partition
        if row.attempts and not detail.attempts:  # counted, not listed: whether their logs are there the server says
            number = wanted or row.attempts
            return Attempt(
                attempt=number, execution_id=ExecutionId(""), node_id=NodeId(row.node_id), state=row.state, created=""
            )
        found = next((one for one in detail.attempts if one.attempt == wanted), None)
        found = found or (detail.attempts[-1] if detail.attempts and not wanted else None)
        if found is None and detail.attempts and row.state not in UNSETTLED_WORDS:
            found = detail.attempts[-1]
            page.shoal.tell(f"there is no attempt {wanted}, the newest is {found.attempt}", severity="warning")
        if found is None:
            newest = f"there is no attempt {wanted} yet, the newest is {detail.attempts[-1].attempt}, "
            page.message = f"{newest if detail.attempts else 'not started yet, '}{row.state}"
            with suppress(ClientError):
                reasons = (await client.explain(page.at.job_id, str(page.at.partition))).items
                page.message += f": {reasons[0].reason}" if reasons else ""
        return found

    async def _look(self) -> PartitionDetail:
        """How the partition stands now."""
        page = self.page
        self._news.clear()
        self._line = self._known()
        page.detail = detail = await page.shoal.client.partition(page.at.job_id, page.at.partition)
        page.refresh_bindings()
        return detail

    async def _next(self, attempt: Attempt, *, goes_on: bool) -> int:
        """Wait for an attempt after this one, while the page follows; gives its number."""
        page = self.page
        message = page.message
        while True:
            try:
                detail = await self._look()
            except ClientError as error:
                if not _passes(error):
                    raise
                page.message = error.message
            else:
                page.message = message
                page.attempt = next((one for one in detail.attempts if one.attempt == attempt.attempt), page.attempt)
                if goes_on and page.newer(attempt) and page.log_view.is_following:
                    return attempt.attempt + 1
            await self._change()

    async def _change(self) -> None:
        """Wait until the partition may stand otherwise."""
        await asyncio.sleep(SOONEST)
        with suppress(TimeoutError):
            async with asyncio.timeout(LATEST - SOONEST):
                await self._news.wait()


def _passes(error: ClientError) -> bool:
    """Whether asking again can help."""
    return error.status >= 500 or error.code == "Unreachable"
