"""A bar of all partitions by state, and the counts beside it."""

from collections.abc import Mapping

from tui.widgets.lines import Lines, Piece

ORDER = ("Completed", "Failed", "Retrying", "Stopping", "Running", "Publishing", "Assigned", "Stopped", "Waiting")
URGENT = ("Failed", "Retrying", "Stopping", "Stopped", "Running", "Publishing", "Assigned")
"""What is shown first where there are fewer cells than states."""
MARKS = {
    "Completed": "█",
    "Running": "▶",
    "Publishing": "▶",
    "Assigned": "○",
    "Retrying": "↻",
    "Failed": "✗",
    "Stopping": "□",
    "Stopped": "□",
    "Waiting": "·",
}
SHAPES = {"Completed": "━", "Failed": "✗", "Retrying": "↻", "Running": "▶", "Publishing": "▶", "Assigned": "○"}


def bar(summary: Mapping[str, int], width: int) -> list[Piece]:
    """The bar in exactly `width` cells: each state that has any partition has at least one cell."""
    counts = {name: summary.get(name, 0) for name in ORDER if summary.get(name, 0)}
    total = sum(counts.values())
    if not total or width < 1:
        return [("─" * width, "muted")]
    loud = [name for name in counts if name not in ("Completed", "Waiting")]
    cells = {name: counts[name] * width // total for name in counts}
    for name in loud:
        cells[name] = max(1, cells[name])
    over = sum(cells.values()) - width
    for name in sorted(counts, key=lambda name: -cells[name]):
        if over <= 0:
            break
        taken = min(over, max(0, cells[name] - (1 if name in loud else 0)))
        cells[name] -= taken
        over -= taken
    for name in reversed(URGENT):
        if over <= 0:
            break
        over -= cells.pop(name, 0)
    largest = max(cells, key=lambda name: (counts[name], name))
    if "Waiting" in cells and counts.get("Waiting"):
        largest = "Waiting"
    cells[largest] += max(0, -over)
    return [(SHAPES.get(name, "─") * cells[name], name.lower()) for name in counts if cells.get(name)]


def counts(summary: Mapping[str, int], width: int) -> list[Piece]:
    """`56.7% █ completed 56,672 ✗ failed 226 ...`; where that does not fit without words, one number for a mark."""
    total = sum(number for name, number in summary.items() if name != "Unselected")
    share = 100 * summary.get("Completed", 0) / total if total else 0.0
    shown = "100%" if total and summary.get("Completed", 0) == total else f"{min(share, 99.9):.1f}%"
    present = [name for name in ORDER if summary.get(name, 0)]
    pieces: list[Piece] = [(f" {shown}", "title")]
    pieces += [(f"  {MARKS[name]} {name.lower()} {summary[name]:,}", name.lower()) for name in present]
    if sum(len(text) for text, _ in pieces) > width:
        numbers: dict[str, tuple[int, str]] = {}
        for name in present:
            number, style = numbers.get(MARKS[name], (0, name.lower()))
            numbers[MARKS[name]] = number + summary[name], style
        pieces = [pieces[0], *((f"  {mark} {number:,}", style) for mark, (number, style) in numbers.items())]
    return pieces


class StackedBar(Lines):
    """Two lines: counts, then the bar."""

    DEFAULT_CSS = """
    StackedBar { height: 2; }
    """

    def tell(self, summary: Mapping[str, int], right: str = "") -> None:
        """The summary of a job; `right` stands at the right edge of the counts if there is room."""
        width = self.size.width
        line = counts(summary, width)
        used = sum(len(text) for text, _ in line)
        if right and used + len(right) + 3 <= width:
            line = [*line, (" " * (width - used - len(right) - 1), ""), (right, "retrying")]
        self.show([line, [(" ", ""), *bar(summary, max(0, width - 2))]])
