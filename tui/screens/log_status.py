"""The line above a log: which attempt it is and how that ended, where one stands in the text, what is left out."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tui.bindings import shown
from tui.model.logtext import ERR, OUT
from tui.model.moments import bytes_text, counted, short_duration
from tui.widgets.inspector import ATTEMPT_MARKS, why
from tui.widgets.lines import Piece

if TYPE_CHECKING:
    from tui.screens.log import LogPage

STREAMS = (("both", None), ("stdout", frozenset({OUT})), ("stderr", frozenset({ERR})))


def attempt_line(page: "LogPage") -> list[Piece]:
    """Which attempt, of how many, and how it stands; the key to a newer one."""
    attempt = page.attempt
    if attempt is None:
        return [(f" {page.message}", "muted")]
    newer = page.newer(attempt)
    mark, style = ATTEMPT_MARKS.get(attempt.state, ("·", "waiting"))
    pieces: list[Piece] = [
        (f" attempt {attempt.attempt} of {newer or attempt.attempt}  ", ""),
        (f"{mark} {why(attempt) or attempt.state}", style),
        (f"  {attempt.node_id}", "muted"),
    ]
    if newer and (key := _key_of(page, "log.later")):
        pieces += [(f"  {key}", "key"), (" newer attempt", "running")]
    if page.message:
        pieces.append((f"  {page.message}", "muted"))
    return pieces


def place_line(page: "LogPage") -> list[Piece]:
    """Following or not, matches, what is chosen, how much there is."""
    view = page.log_view
    pieces: list[Piece] = []
    if view.is_following:
        pieces.append(("FOLLOW ▼  ", "key"))
    elif view.unseen:
        pieces.append((f"▼ +{view.unseen:,} new  ", "running"))
    if page.needle:
        at = place(page.matches, view.number(view.cursor)) if view.count else 0
        pieces.append((f"{at}/{len(page.matches):,} matches{' so far' if page.to_come else ''}  ", "key"))
    if page.grep:
        pieces.append((f"only {page.grep}  ", "running"))
    if page.since:
        pieces.append((f"last {short_duration(page.since)}  ", "running"))
    if page.streams:
        pieces.append((f"{STREAMS[page.streams][0]}  ", "running"))
    if page.to_come:
        pieces.append((f"{bytes_text(page.to_come)} before this to come  ", "running"))
    if page.text.dropped:
        pieces.append((f"cut: {bytes_text(page.text.dropped)} missing  ", "failed"))
    of_all = f"{view.count:,} of " if view.lines is not None else ""
    pieces.append((f"{of_all}{counted(page.text.count, 'line')}  {bytes_text(page.text.size)} ", "muted"))
    return pieces


def place(matches: Sequence[int], number: int) -> int:
    """How many matches there are up to and including a line."""
    return bisect_right(matches, number)


def _key_of(page: "LogPage", name: str) -> str:
    """The key that a binding has here; empty = it has none."""
    return next((shown(one.binding.key) for one in page.active_bindings.values() if one.binding.id == name), "")
