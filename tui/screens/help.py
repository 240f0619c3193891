"""Help: the keys that are active now, from the live bindings, and the legend."""

from textual.screen import Screen

from tui.bindings import BY_ID, SHOWN
from tui.model.cells import LOOKS
from tui.screens.reader import Reader
from tui.widgets.lines import Piece
from tui.widgets.palette import Palette

LEGEND = (
    (6, "completed"),
    (4, "running"),
    (3, "assigned"),
    (2, "retrying: an attempt failed, the next one waits"),
    (7, "failed: out of attempts"),
    (8, "stopped"),
    (1, "waiting"),
    (10, "a cell with more than three quarters failed"),
    (13, "a cell that runs, by the share that is completed"),
    (17, "a cell partly completed, nothing of it runs"),
)
CONTEXTS = {
    "app": "Everywhere",
    "page": "Everywhere",
    "move": "Moving",
    "text": "Moving",
    "job": "Job",
    "jobs": "Jobs",
    "log": "Log",
    "partition": "Partition",
}


def help_of(screen: Screen[object], palette: Palette) -> Reader:
    """The help of a screen as it is now."""
    groups: dict[str, dict[str, tuple[list[str], str, bool]]] = {}
    for key, active in screen.active_bindings.items():
        known = BY_ID.get(active.binding.id or "")
        if known is None:
            continue
        group = CONTEXTS.get(known.context, known.context.capitalize())
        entry = groups.setdefault(group, {}).setdefault(known.id, ([], known.tooltip, active.enabled))
        entry[0].append(SHOWN.get(key, key))
    lines: list[list[Piece]] = []
    for group in sorted(groups, key=lambda name: (name == "Everywhere", name == "Moving", name)):
        lines.append([(group, "title")])
        for keys, tooltip, enabled in groups[group].values():
            lines.append(
                [(f"  {' '.join(keys):<16} ", "key" if enabled else "muted"), (tooltip, "" if enabled else "muted")]
            )
        lines.append([("", "")])
    lines.append([("Legend", "title")])
    for code, words in LEGEND:
        glyph, _ = palette.cells[code]
        lines.append([(f"  {glyph}  ", LOOKS[code].style), (words, "")])
    lines.append([("  2-9 ", "attempt-2"), ("completed, with so many attempts", "")])
    return Reader("Keys that are active now", lines)
