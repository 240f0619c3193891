"""Reads a partition's log for its screen: attempt after attempt, waiting for what has not begun."""

import asyncio
from typing import TYPE_CHECKING

from orchestrator.client import ClientError
from orchestrator.contract.partitions import UNSETTLED_WORDS, Attempt
from tui import logfeed
from tui.model.logtext import LogText

if TYPE_CHECKING:
    from tui.screens.log import LogPage

LIVE = ("assigned", "running", "publishing")
"""States of an attempt that has not ended."""


class LogSource:
    """Reads for one page."""

    def __init__(self, page: "LogPage") -> None:
        self.page = page

    async def read(self, wanted: int) -> None:
        """Fill the page's text; what goes wrong is told, never raised."""
        page, client = self.page, self.page.shoal.client
        pause = 0.5
        while True:
            try:
                attempt = await self._find(wanted)
                if attempt is None:
                    await asyncio.sleep(1.0)
                    continue
                if page.attempt is not None and attempt.attempt != page.attempt.attempt and page.text.count:
                    page.text.note(f"attempt {attempt.attempt} on {attempt.node_id}")
                    page.fresh += 1
                page.attempt = attempt
                async for step in logfeed.read(client, page.at.job_id, page.at.partition, attempt.attempt, page.text):
                    match step:
                        case logfeed.More(lines):
                            page.fresh += lines
                        case logfeed.CaughtUp():
                            page.opened(is_over=attempt.state not in LIVE)
                        case logfeed.Before(left, lines):
                            page.came_before(left, lines)
                if not await self._goes_on(attempt):
                    return
                wanted = attempt.attempt + 1
            except ClientError as error:
                page.message = error.message
                if error.status < 500 and error.code != "Unreachable":
                    page.paint()
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, 5.0)
                if page.text.count:
                    wanted = page.attempt.attempt if page.attempt else wanted
                    page.text = LogText()
                    page.log_view.replace(page.text)

    async def _find(self, wanted: int) -> Attempt | None:
        """The attempt to read; None = there is none yet, and the message says why."""
        page, client = self.page, self.page.shoal.client
        page.detail = detail = await client.partition(page.at.job_id, page.at.partition)
        found = next((one for one in detail.attempts if one.attempt == wanted), None)
        found = found or (detail.attempts[-1] if detail.attempts and not wanted else None)
        if found is None and detail.attempts and detail.partition.state not in UNSETTLED_WORDS:
            found = detail.attempts[-1]
        if found is None:
            reasons = (await client.explain(page.at.job_id, str(page.at.partition))).items
            reason = f": {reasons[0].reason}" if reasons else ""
            page.message = f"not started yet, {detail.partition.state}{reason}"
        page.refresh_bindings()
        return found

    async def _goes_on(self, attempt: Attempt) -> bool:
        """Wait whether another attempt follows; False = none will."""
        page = self.page
        while True:
            page.detail = detail = await page.shoal.client.partition(page.at.job_id, page.at.partition)
            page.attempt = next((one for one in detail.attempts if one.attempt == attempt.attempt), page.attempt)
            if detail.attempts and detail.attempts[-1].attempt > attempt.attempt:
                return page.log_view.is_following
            if detail.partition.state not in UNSETTLED_WORDS:
                return False
            await asyncio.sleep(1.0)
