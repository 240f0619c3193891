"""The log of one partition: of an attempt that has ended at its last trouble, of a running one at its end, following."""

import asyncio
import os
import subprocess
import tempfile
import time
from array import array
from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult, SuspendNotSupported
from textual.containers import Vertical

from orchestrator.contract.partitions import Attempt, PartitionDetail
from tui.background import begin
from tui.bindings import bindings
from tui.messages import OverviewChanged
from tui.model.logtext import LogText, compiled, pick, search
from tui.model.moments import bytes_text
from tui.places import Focus
from tui.screens.acting import ActDialog, Deed
from tui.screens.job import JobPage
from tui.screens.log_source import LogSource
from tui.screens.log_status import STREAMS, attempt_line, place, place_line
from tui.screens.page import Page
from tui.screens.reader import Reader
from tui.screens.whole_line import laid_out
from tui.widgets.lines import Lines, Piece, both_ends
from tui.widgets.log_view import TIMES, LogView


class LogPage(Page, inherit_bindings=False):
    """Reads while it is open; crosses from attempt to attempt with a rule between them."""

    BINDINGS = bindings("page", "log")
    AUTO_FOCUS = "#log"
    OPENS = "line"
    """What enter opens."""
    DEFAULT_CSS = """
    LogPage #log { height: 1fr; }
    """

    def __init__(self, focus: Focus) -> None:
        super().__init__(focus)
        self.source = LogSource(self)
        self.text = LogText()
        self.detail: PartitionDetail | None = None
        self.attempt: Attempt | None = None
        self.needle = ""
        self.matches: Sequence[int] = ()
        self.grep = ""
        self.since = 0
        self.streams = 0
        self.fresh = 0
        self.to_come = 0
        """Bytes before the text that are still to be read."""
        self.message = "reading …"

    def content(self) -> ComposeResult:
        """What log it is, and the log."""
        with Vertical(id="body"):
            yield Lines(id="status")
            yield LogView(self.text, opens=self.OPENS)

    def crumbs(self) -> Sequence[str]:
        """Job, partition, log."""
        return (self.at.job_name or self.at.job_id, str(self.at.partition), "log")

    @property
    def log_view(self) -> LogView:
        """The viewer."""
        return self.query_one(LogView)

    def focus_now(self) -> Focus:
        """The attempt that is read."""
        return self.at.on(self.attempt)

    def newer(self, attempt: Attempt) -> int:
        """The number of the newest attempt, if that is one after this; else 0."""
        newest = self.detail.attempts[-1].attempt if self.detail and self.detail.attempts else 0
        return newest if newest > attempt.attempt else 0

    # Reading

    def on_mount(self) -> None:
        """Begin to read."""
        self.reconnect()

    def reconnect(self) -> None:
        """Read anew."""
        self.text = LogText()
        self.matches, self.fresh, self.to_come = (), 0, 0
        self.message = "reading …"
        self.log_view.replace(self.text)
        here = self.attempt.attempt if self.attempt else 0
        wanted = self.at.attempt and max(self.at.attempt, here)
        begin(self, "log", self.source.read, wanted)

    def on_overview_changed(self, _: OverviewChanged) -> None:
        """Perhaps there is another attempt."""
        self.source.heard()

    def on_log_view_moved(self) -> None:
        """Who follows goes on into an attempt that there is by now."""
        if self.log_view.is_following:
            self.source.look()

    def opened(self, *, is_over: bool) -> None:
        """All that is known was read: go where the eye wants to be."""
        self.message = "" if self.text.count else "the log is empty" if is_over else "nothing written yet"
        view = self.log_view
        view.grew(self.fresh)
        self.fresh = view.unseen = 0
        if self.needle:
            self.take_filter(self.needle)
            return
        if not is_over or view.is_following:
            view.set_following(is_following=True)
            return
        trouble = self.text.last_trouble()
        if trouble is None:
            view.point(view.count - 1)
            self.call_after_refresh(lambda: view.point(view.count - 1))
        else:
            view.show_line(trouble)
            self.call_after_refresh(lambda: view.show_line(trouble))

    def came_before(self, left: int, lines: int) -> None:
        """What is before the text is on its way, or was put there: searches and choices see that, too."""
        self.to_come = left
        if not lines:
            return
        self.log_view.grew_before(lines)
        if self._is_choosing:
            self._choose()
        if self.needle:
            begin(self, "search", self._search, self.needle, is_again=True)

    # Painting

    def paint(self) -> None:
        """What arrived since the last time, and the status."""
        if not self.is_attached:
            return
        if self.fresh:
            fresh, self.fresh = self.fresh, 0
            if self._is_choosing:
                self._choose()
            else:
                self.log_view.grew(fresh)
        self.query_one("#status", Lines).show([both_ends(self._left(), place_line(self), self.size.width)])

    def _left(self) -> list[Piece]:
        return attempt_line(self)

    # Search, filter

    def filter_text(self) -> str:
        """What was searched for."""
        return self.needle

    def take_filter(self, text: str) -> None:
        """Search."""
        if text:
            compiled(text)
        self.needle = text
        begin(self, "search", self._search, text)

    def clear_filter(self) -> bool:
        """Forget search and choice."""
        if self.needle:
            self.needle, self.matches = "", ()
            self.log_view.mark_matches((), "")
            return True
        if self._is_choosing:
            self.grep, self.since, self.streams = "", 0, 0
            self._choose()
            return True
        return False

    async def _search(self, text: str, *, is_again: bool = False) -> None:
        found = await asyncio.to_thread(search, list(self.text.blocks), text) if text else array("I")
        if text != self.needle:
            return
        had_some, self.matches = bool(self.matches), found
        view = self.log_view
        view.mark_matches(found, text)
        if text and not found:
            so_far = f"; {bytes_text(self.to_come)} before them are still to come" if self.to_come else ""
            self.shoal.tell(
                f"no line contains {text!r}" if not so_far else f"none of the last lines contains {text!r}{so_far}"
            )
        elif found and view.count and not (had_some and is_again):
            here = view.number(view.cursor)
            view.show_line(next((line for line in found if line >= here), found[-1]))
        self.paint()

    def action_match(self, step: int) -> None:
        """The next match; without a search the next trouble."""
        if not self.needle:
            self.take_filter("error|exception|traceback|fatal|panic|killed")
            return
        view = self.log_view
        if not self.matches or not view.count:
            return
        at = place(self.matches, view.number(view.cursor))
        is_on = at and self.matches[at - 1] == view.number(view.cursor)
        target = at if step > 0 else at - 2 if is_on else at - 1
        view.show_line(self.matches[target % len(self.matches)])

    @property
    def _is_choosing(self) -> bool:
        return bool(self.grep or self.since or self.streams)

    def _choose(self) -> None:
        if not self._is_choosing:
            self.log_view.choose(None)
            return
        begin(self, "pick", self._pick)

    async def _pick(self) -> None:
        since = self.text.latest - self.since if self.since else 0.0
        streams = STREAMS[self.streams][1]
        blocks, grep = list(self.text.blocks), self.grep
        lines = await asyncio.to_thread(lambda: pick(blocks, grep=grep, streams=streams, since=since))
        view = self.log_view
        view.choose(lines)
        if view.is_following:
            view.set_following(is_following=True)

    def action_grep(self) -> None:
        """Ask which lines to show."""
        self.prompt.ask("grep", "F", self.grep)

    def take_text(self, kind: str, text: str) -> None:
        """Show only lines that contain a text."""
        if kind == "grep":
            if text:
                compiled(text)
            self.grep = text
            self._choose()

    def action_since(self, seconds: int) -> None:
        """Only the last so many seconds of the log."""
        self.since = seconds
        self._choose()

    def action_streams(self) -> None:
        """Stdout, stderr, or both."""
        self.streams = (self.streams + 1) % len(STREAMS)
        self._choose()

    # How it looks

    def action_follow(self) -> None:
        """Stay at the end, or not."""
        self.log_view.set_following(is_following=not self.log_view.is_following)

    def action_wrap(self) -> None:
        """Wrap long lines, or not."""
        self.log_view.wrap(is_wrapped=not self.log_view.is_wrapped)

    def action_times(self) -> None:
        """Absolute, relative, none."""
        view = self.log_view
        view.times = TIMES[(TIMES.index(view.times) + 1) % len(TIMES)]
        view.refresh()

    def on_log_view_opened(self) -> None:
        """The whole line under the cursor."""
        line = self.log_view.current()
        if line is not None:
            self.shoal.cover(Reader("line", laid_out(line.content)))

    # Other attempts and partitions

    def action_attempt(self, step: int) -> None:
        """The attempt before or after."""
        if self.detail is None or self.attempt is None:
            return
        numbers = [one.attempt for one in self.detail.attempts]
        wanted = self.attempt.attempt + step
        if wanted not in numbers:
            self.shoal.tell(f"there is no attempt {wanted}; there are {numbers[0]} to {numbers[-1]}")
            return
        self._turn_to(self.at.partition, wanted)

    def action_neighbour(self, step: int) -> None:
        """The previous or next failed partition, or match of the job's filter."""
        page = job_page(self)
        found = page.model.next_trouble(self.at.partition, step) if page else None
        if page is None or found is None or found == self.at.partition:
            self.shoal.tell("no other partition failed")
            return
        page.jump(found)
        self._turn_to(found, 0)

    def _turn_to(self, partition: int, attempt: int) -> None:
        self.at = Focus(job_id=self.at.job_id, job_name=self.at.job_name, partition=partition, attempt=attempt)
        self.attempt = None
        self.log_view.is_following = False
        self.show_header()
        self.reconnect()

    # Acting and saving

    def action_retry(self) -> None:
        """Retry this partition."""
        self._act("retry")

    def action_stop(self) -> None:
        """Stop this partition."""
        self._act("stop")

    def _act(self, verb: str) -> None:
        index = self.at.partition
        deed = Deed(verb=verb, focus=self.at, select=str(index), scope=f"partition {index}")
        self.shoal.cover(ActDialog(deed), lambda _: self.source.look())

    def action_copy(self) -> None:
        """The line at the cursor."""
        line = self.log_view.current()
        if line is not None:
            self.shoal.copy(line.content.decode("utf-8", "replace"), "line")

    def _bytes(self) -> bytes:
        view = self.log_view
        if view.lines is None:
            return b"".join(block.text for block in self.text.blocks)
        return b"".join(self.text.line(number).content + b"\n" for number in view.lines)

    def _is_whole(self) -> bool:
        """Whether all of the log is here; else that is said."""
        if self.to_come:
            self.shoal.tell(
                f"{bytes_text(self.to_come)} of the log are still to come: again in a moment", severity="warning"
            )
        return not self.to_come

    def action_save(self) -> None:
        """Write what is shown as a file."""
        if not self._is_whole():
            return
        number = self.attempt.attempt if self.attempt else 0
        try:
            path = self.shoal.write_file(f"{self.at.job_id[:10]}-{self.at.partition}.{number}.log", self._bytes())
        except OSError as error:
            self.shoal.tell(f"the log could not be written: {error}", severity="error")
        else:
            self.shoal.tell(f"{self.log_view.count:,} lines written to {path}")

    def action_pager(self) -> None:
        """Open what is shown in $PAGER."""
        if not self._is_whole():
            return
        pager = os.environ.get("PAGER", "less")
        with tempfile.TemporaryDirectory() as home:
            path = Path(home) / f"partition-{self.at.partition}-{time.strftime('%H%M%S')}.log"
            path.write_bytes(self._bytes())
            try:
                with self.app.suspend():
                    subprocess.run([*pager.split(), str(path)], check=False)
            except SuspendNotSupported:
                self.shoal.tell("there is no terminal to hand over here", severity="warning")
            except OSError as error:
                self.shoal.tell(f"{pager}: {error}", severity="error")


def job_page(page: Page) -> JobPage | None:
    """The page of the same job below this one."""
    for below in reversed(page.app.screen_stack):
        if isinstance(below, JobPage) and below.view.job_id in (page.at.job_id, ""):
            return below
    return None
