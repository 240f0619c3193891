"""Line 1 of every screen: where we are, how the line to the orchestrator stands, who we are, what time it is.

What does not fit goes in this order: round trip, clock, user, nodes, middle crumbs. Never the state of the link.
"""

from collections.abc import Sequence

from tui.model.link import MARKS, Link, LinkState
from tui.model.moments import clock
from tui.model.text import middle
from tui.widgets.lines import Lines, Piece, width_of

LINK_STYLES = {
    LinkState.CONNECTING: "muted",
    LinkState.LIVE: "completed",
    LinkState.STALE: "running",
    LinkState.OFFLINE: "error",
    LinkState.REFUSED: "error",
}


class HeaderLine(Lines):
    """Crumbs at the left, the link and the rest at the right."""

    def tell(
        self,
        crumbs: Sequence[str],
        link: Link,
        *,
        now: float,
        wall: float,
        nodes: str = "",
        flags: Sequence[str] = (),
        user: str = "",
    ) -> None:
        """What it shows from now on. `now` is monotonic, `wall` seconds since 1970; flags (`ro`, `REPLAY`) never go."""
        state = link.look(now)
        mark: Piece = (f"{MARKS[state][0]} {link.text(now)}", LINK_STYLES[state])
        must = [mark, *((f"  {flag}", "running") for flag in flags)]
        can: list[tuple[int, Piece]] = []
        if link.rtt is not None and state is LinkState.LIVE:
            can.append((1, (f"  rtt {max(1, round(link.rtt * 1000))} ms", "muted")))
        if nodes:
            can.append((4, (f"  {nodes}", "muted")))
        if user:
            can.append((3, (f"  {user}", "muted")))
        can.append((2, (f"  {clock(wall)}", "muted")))
        self.show([line_one(crumbs, must, can, self.size.width)])


def line_one(crumbs: Sequence[str], must: list[Piece], can: list[tuple[int, Piece]], width: int) -> list[Piece]:
    """Line 1 in `width` cells; of `can` the pieces with the lowest numbers are left out first."""
    left = _crumbs(crumbs, full=True)
    for dropped in range(6):
        right = [must[0], *(piece for rank, piece in can if rank > dropped), *must[1:], (" ", "")]
        if width_of(left) + width_of(right) + 1 <= width:
            break
    else:
        right = [*must, (" ", "")]
        left = _crumbs(crumbs, full=False)
        over = width_of(left) + width_of(right) + 1 - width
        if over > 0:
            text, style = left[-1]
            left[-1] = (middle(text, max(4, len(text) - over)), style)
    return [*left, (" " * max(1, width - width_of(left) - width_of(right)), ""), *right]


def _crumbs(crumbs: Sequence[str], *, full: bool) -> list[Piece]:
    names = list(crumbs) if full or len(crumbs) < 3 else [crumbs[0], "…", crumbs[-1]]
    pieces: list[Piece] = [(" ", "")]
    for at, name in enumerate(names):
        is_last = at == len(names) - 1
        pieces.append((middle(name, 48), "title" if is_last else "muted"))
        if not is_last:
            pieces.append((" ▸ ", "muted"))
    return pieces
