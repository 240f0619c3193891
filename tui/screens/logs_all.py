"""The logs of all partitions of a job, or of some, as they are written: each line with the partition and attempt it is from."""

import re
import time
from collections.abc import Sequence

from orchestrator.client import ClientError, UnreachableError
from orchestrator.client_stream import LogQuery, logs
from orchestrator.contract.api import LogFrameValue
from orchestrator.contract.selection import Selection, format_ranges
from tui.background import begin
from tui.bindings import bindings
from tui.model.logtext import ERR, OUT, LogText
from tui.model.moments import bytes_text, seconds_of
from tui.places import Focus
from tui.screens.log import LogPage, job_page
from tui.widgets.lines import Lines, Piece, both_ends
from tui.widgets.log_view import LogView

TAIL = 200
"""Lines of each log to begin with."""
MOST_A_SECOND = 2_000
"""More lines a second than anybody can read: the rest is counted, and is on the server."""
TAGS = 6
"""Colours of the tags, by partition: those of the letters in a grid."""
TAG = re.compile(rb"^(?:\x1b\[[\d;]*m)?(\d+)\.(\d+)")


class LogsPage(LogPage, inherit_bindings=False):
    """A log of many: searching, filtering, times and following are those of one."""

    BINDINGS = bindings("page", "logs")
    OPENS = "log"

    def __init__(self, focus: Focus) -> None:
        super().__init__(focus)
        self.select = focus.argument or ""
        self.left_out = 0
        self.is_ended = False
        self._second = 0
        self._in_second = 0

    def crumbs(self) -> Sequence[str]:
        """The job, and which of it."""
        return (self.at.job_name or self.at.job_id, *([self.select] if self.select else []), "logs")

    def on_mount(self) -> None:
        """Marks of the job's grid are the selection; then the log's own `on_mount` begins to read."""
        page = job_page(self)
        if not self.select and page is not None and page.model.marks:
            self.select = format_ranges(page.model.marks)

    def reconnect(self) -> None:
        """Read anew."""
        self.text = LogText()
        self.matches, self.fresh, self.left_out, self.is_ended = (), 0, 0, False
        self.message = "waiting for lines …"
        self.log_view.replace(self.text)
        self.log_view.set_following(is_following=True)
        begin(self, "log", self._read)

    async def _read(self) -> None:
        wanted = LogQuery(partitions=self.select or "all", attempt="last", follow=True, tail=TAIL, timestamps=True)
        try:
            async for value in logs(self.shoal.client, self.at.job_id, wanted):
                self._take(value)
        except UnreachableError as error:
            self.message = f"{error.message}; R reads on"
        except ClientError as error:
            self.message = error.message
        else:
            self.is_ended = True
            self.message = "" if self.text.count else "nothing was written"
        self.paint()

    def _take(self, value: LogFrameValue) -> None:
        now = int(time.monotonic())
        if now != self._second:
            self._second, self._in_second = now, 0
        self._in_second += 1
        if self._in_second > MOST_A_SECOND:
            self.left_out += 1
            return
        if value.event:
            prefix = f"{value.partition}: " if value.partition is not None else ""
            self.text.note(prefix + value.event)
            self.fresh += 1
            return
        partition, attempt = value.partition or 0, value.attempt or 0
        colour = self.shoal.palette.style(f"letter-{partition % TAGS}").color
        begin = f"\x1b[{';'.join(colour.get_ansi_codes())}m" if colour else ""
        tag = f"{begin}{partition}.{attempt}\x1b[0m "
        line = value.line.rstrip("\n").replace("\n", "\\n")
        stream = ERR if value.type == 2 else OUT
        at = seconds_of(value.time) or self.text.latest
        self.fresh += self.text.append(stream, f"{tag}{line}\n".encode(), at)
        self.message = ""

    def _left(self) -> list[Piece]:
        pieces: list[Piece] = [(f" {self.select or 'all partitions'}", "title")]
        if self.message:
            pieces.append((f"  {self.message}", "muted"))
        if self.is_ended:
            pieces.append(("  every log has ended", "muted"))
        if self.left_out:
            pieces.append((f"  {self.left_out:,} lines left out of view; the server has them", "running"))
        return pieces

    def paint(self) -> None:
        """What arrived, and where one stands."""
        super().paint()
        if self.is_attached and not self.text.count:
            line = both_ends(self._left(), [(bytes_text(self.text.size), "muted")], self.size.width)
            self.query_one("#status", Lines).show([line])

    # Keys

    def focus_now(self) -> Focus:
        """The partition and attempt of the line under the cursor."""
        found = self._under_cursor()
        partition, attempt = found or (-1, 0)
        return Focus(job_id=self.at.job_id, job_name=self.at.job_name, partition=partition, attempt=attempt)

    def _under_cursor(self) -> tuple[int, int] | None:
        line = self.log_view.current()
        found = TAG.match(line.content) if line is not None else None
        return (int(found[1]), int(found[2])) if found else None

    def on_log_view_opened(self, message: LogView.Opened) -> None:  # type: ignore[override]
        """That partition's log, at that line, instead of the line alone."""
        message.prevent_default()
        line = self.log_view.current()
        here = self._under_cursor()
        if line is None or here is None:
            return
        page = LogPage(self.focus_now())
        text = line.content.partition(b"\x1b[0m ")[2].decode("utf-8", "replace").strip()
        page.needle = re.escape(text[:200]) if text else ""
        self.shoal.cover(page)

    def action_pick(self) -> None:
        """Ask which partitions."""
        self.prompt.ask("pick", "P", self.select)

    def take_text(self, kind: str, text: str) -> None:
        """Other partitions."""
        if kind == "pick":
            Selection.parse(text)
            self.select = text.strip()
            self.show_header()
            self.reconnect()
        else:
            super().take_text(kind, text)

    def action_copy(self) -> None:
        """The line, without the colour of its tag."""
        line = self.log_view.current()
        if line is not None:
            self.shoal.copy(re.sub(r"\x1b\[[\d;]*m", "", line.content.decode("utf-8", "replace")), "line")

    def _bytes(self) -> bytes:
        return re.sub(rb"(?m)^\x1b\[38;5;\d+m([\d.]+)\x1b\[0m", rb"\1", super()._bytes())
