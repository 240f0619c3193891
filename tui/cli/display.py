"""How waiting looks: in place on a terminal, one line a change elsewhere, JSON lines for scripts."""

import time
from collections.abc import Sequence
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


class Display(Protocol):
    """Shows a job that is waited for. `update` after each change, `tick` a few times a second."""

    wants_failures: bool
    """Whether failed attempts are worth asking for."""

    def failures(self, failures: Sequence[FailedAttempt], unnamed: int) -> None:
        """These attempts failed, and those of `unnamed` further partitions."""

    def update(self, view: JobView, indices: Sequence[int], /) -> None:
        """These partitions changed."""

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

    def failures(self, failures: Sequence[FailedAttempt], unnamed: int) -> None:
        """Tell each."""
        for failure in failures:
            self.last[failure.index] = failure
            self.shown[failure.index] = failure.text()
            self.output.line(failure.line())
        if unnamed:
            self.output.line(f"... and {unnamed} more partitions failed an attempt")

    def update(self, view: JobView, indices: Sequence[int], /) -> None:
        """Tell what reads differently from before."""
        if not self.has_begun:
            self.output.line(header(view))
            self.has_begun = True
        self.rate.add(time.monotonic(), view)
        if view.count > FEW:
            return
        for index in indices:
            text = partition_text(view, index, self.last.get(index))
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
        self.is_table = True
        self.next_draw = 0.0

    def _is_small(self, view: JobView) -> bool:
        return view.count <= FEW and view.count + 3 <= self.output.size()[1]

    def failures(self, failures: Sequence[FailedAttempt], unnamed: int) -> None:
        """Remember them; of a big job they go above the bar and stay."""
        self.last.update((failure.index, failure) for failure in failures)
        if self.drawn and not self.is_table:
            lines = [failure.line() for failure in failures]
            if unnamed:
                lines.append(f"... and {unnamed} more partitions failed an attempt")
            self._replace(lines, keep=True)

    def update(self, view: JobView, indices: Sequence[int], /) -> None:
        """Draw, unless that was done a moment ago; the next tick will then."""
        self.rate.add(time.monotonic(), view)
        if indices and time.monotonic() < self.next_draw:
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
        self.said = ""
        self._draw(view)

    def _draw(self, view: JobView) -> None:
        now = time.monotonic()
        self.next_draw = now + 0.1
        self.is_table = self._is_small(view)
        if self.is_table:
            lines = [f"Partition {i}: {partition_text(view, i, self.last.get(i))}" for i in range(view.count)]
            lines = [header(view), *lines]
        else:
            left = "" if view.is_terminal else f"; {self.rate.left(now, view)}"
            lines = [header(view), f"{bar(view, 30)} {counts(view)}{left}"]
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

    def failures(self, failures: Sequence[FailedAttempt], unnamed: int) -> None:
        """Not told: the summary counts them."""

    def update(self, view: JobView, _indices: Sequence[int], /) -> None:
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

    def failures(self, failures: Sequence[FailedAttempt], unnamed: int) -> None:
        """Not told."""

    def update(self, view: JobView, indices: Sequence[int], /) -> None:
        """Not told."""

    def reason(self, text: str) -> None:
        """Not told."""

    def tick(self, view: JobView) -> None:
        """Nothing to draw."""

    def close(self, view: JobView) -> None:
        """Nothing to end."""
