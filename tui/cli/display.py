"""How waiting looks: in place on a terminal, one line a change elsewhere, JSON lines for scripts."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from tui.cli.output import Output, clipped
from tui.cli.printable import printable
from tui.cli.progress import FailedAttempt, Rate, bar, counts, header, partition_text
from tui.feed import JobView

FEW = 20
"""Up to so many partitions have a line each."""
SUMMARY_EVERY = 10.0
"""Seconds between summaries of a big job where lines cannot be overwritten."""
JSON_EVERY = 1.0


Failures = Mapping[int, Sequence[FailedAttempt]]
"""Failed attempts by partition, oldest first."""
NONE: Failures = {}


class Display(Protocol):
    """Shows a job that is waited for. `update` after each change, `tick` a few times a second."""

    wants_failures: bool
    """Whether failed attempts are worth asking for."""

    def update(self, view: JobView, indices: Sequence[int], failures: Failures = NONE, unnamed: int = 0, /) -> None:
        """These partitions changed; these of their attempts failed, and some of `unnamed` further ones."""

    def reason(self, text: str) -> None:
        """Why nothing runs, or that the orchestrator is away; empty = no reason any more."""

    def tick(self, view: JobView) -> None:
        """Some time has passed."""

    def close(self, view: JobView) -> None:
        """The wait is over."""


class Lines:
    """One line a change; for a big job one a failure, and a summary every ten seconds."""

    wants_failures = True

    def __init__(self, output: Output) -> None:
        self.output = output
        self.rate = Rate()
        self.last: dict[int, FailedAttempt] = {}
        self.shown: dict[int, str] = {}
        self.said = ""
        self.next_summary = time.monotonic() + SUMMARY_EVERY
        self.has_begun = False

    def update(self, view: JobView, indices: Sequence[int], failures: Failures = NONE, unnamed: int = 0, /) -> None:
        """Tell each failure, and what else reads differently from before."""
        if not self.has_begun:
            self.output.line(header(view))
            self.has_begun = True
        self.rate.add(time.monotonic(), view)
        for index in indices if view.count <= FEW else failures:
            for failure in failures.get(index, ()):
                self.last[index] = failure
                self._tell(index, failure.text())
            if view.count <= FEW:
                self._tell(index, partition_text(view, index, self.last.get(index)))
        if unnamed:
            self.output.line(f"... and {unnamed} more partitions failed an attempt")

    def _tell(self, index: int, text: str) -> None:
        if self.shown.get(index) != text:
            self.shown[index] = text
            self.output.line(f"Partition {index}: {text}")

    def reason(self, text: str) -> None:
        """Tell it when it changes."""
        if text and text != self.said:
            self.output.line(printable(text))
        self.said = text

    def tick(self, view: JobView) -> None:
        """A summary of a big job, when it is time."""
        now = time.monotonic()
        if view.count > FEW and now >= self.next_summary:
            self.next_summary = now + SUMMARY_EVERY
            self.rate.add(now, view)
            self.output.line(f"{counts(view)}; {self.rate.left(now, view)}")

    def close(self, view: JobView) -> None:
        """Nothing is left to be told: the end has its own lines."""


class InPlace:
    """Lines that are drawn over, at the bottom of a terminal. Few partitions: a line each; many: a bar below their failures."""

    wants_failures = True

    def __init__(self, output: Output) -> None:
        self.output = output
        self.rate = Rate()
        self.last: dict[int, FailedAttempt] = {}
        self.said = ""
        self.drawn = 0
        self.next_draw = 0.0

    def _is_small(self, view: JobView) -> bool:
        return view.count <= FEW and view.count + 3 <= self.output.size()[1]

    def update(self, view: JobView, indices: Sequence[int], failures: Failures = NONE, unnamed: int = 0, /) -> None:
        """Draw, unless that was done a moment ago; the next tick will then. Failures of a big job stay above the bar."""
        self.rate.add(time.monotonic(), view)
        self.last.update((index, of_one[-1]) for index, of_one in failures.items() if of_one)
        if (failures or unnamed) and not self._is_small(view):
            lines = [failure.line() for of_one in failures.values() for failure in of_one]
            if unnamed:
                lines.append(f"... and {unnamed} more partitions failed an attempt")
            self._replace(lines, keep=True)
        elif indices and time.monotonic() < self.next_draw:
            return
        self._draw(view)

    def reason(self, text: str) -> None:
        """Show it with the next drawing."""
        self.said = text

    def tick(self, view: JobView) -> None:
        """Draw."""
        self._draw(view)

    def close(self, view: JobView) -> None:
        """Draw for the last time; what follows is written below."""
        if view.is_terminal:
            self.said = ""
        self._draw(view)

    def _draw(self, view: JobView) -> None:
        now = time.monotonic()
        self.next_draw = now + 0.1
        if self._is_small(view):
            lines = [f"Partition {i}: {partition_text(view, i, self.last.get(i))}" for i in range(view.count)]
            lines = [header(view), *lines]
        else:
            left = "" if view.is_terminal else f"; {self.rate.left(now, view)}"
            lines = [header(view), f"{bar(view, 20)} {counts(view)}{left}"]
        if self.said:
            lines.append(printable(self.said))
        self._replace(lines)

    def _replace(self, lines: Sequence[str], *, keep: bool = False) -> None:
        """Draw over what was drawn; with `keep` these lines stay for good."""
        width = self.output.width
        up = f"\x1b[{self.drawn}A\r" if self.drawn else ""
        text = "".join(f"{clipped(line, width - 1)}\x1b[K\n" for line in lines)
        self.output.stream.write(f"{up}{text}\x1b[J")
        self.output.flush()
        self.drawn = 0 if keep else len(lines)


class JsonLines:
    """`{"Time", "Summary"}` at most once a second."""

    wants_failures = False

    def __init__(self, output: Output) -> None:
        self.output = output
        self.next_line = 0.0
        self.told: dict[str, int] | None = None

    def update(self, view: JobView, _indices: Sequence[int], _failures: Failures = NONE, _unnamed: int = 0, /) -> None:
        """The summary, when it changed and it is time."""
        now = time.monotonic()
        if view.summary != self.told and now >= self.next_line:
            self.next_line = now + JSON_EVERY
            self.told = dict(view.summary)
            self.output.json({"Time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "Summary": view.summary})

    def reason(self, text: str) -> None:
        """Not told: `job explain` tells it."""

    def tick(self, view: JobView) -> None:
        """What was held back."""
        self.update(view, ())

    def close(self, view: JobView) -> None:
        """The last line is the verb's."""


class Silent:
    """Shows nothing: something else does."""

    wants_failures = False

    def update(self, view: JobView, indices: Sequence[int], failures: Failures = NONE, unnamed: int = 0, /) -> None:
        """Not told."""

    def reason(self, text: str) -> None:
        """Not told."""

    def tick(self, view: JobView) -> None:
        """Nothing to draw."""

    def close(self, view: JobView) -> None:
        """Nothing to end."""
