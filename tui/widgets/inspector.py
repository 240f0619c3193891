"""What is known of the partition that keys act on: it stays the same until the cursor moves, whatever happens beside it."""

from collections.abc import Mapping

from orchestrator.contract.partitions import Attempt, PartitionDetail
from tui.model.moments import countdown, seconds_of, short_duration
from tui.widgets.lines import Lines, Piece
from tui.widgets.stacked_bar import MARKS

ATTEMPT_MARKS = {
    "completed": ("█", "completed"),
    "failed": ("✗", "failed"),
    "lost": ("✗", "failed"),
    "cancelled": ("□", "stopped"),
    "running": ("▶", "running"),
    "publishing": ("▶", "running"),
    "assigned": ("○", "assigned"),
}


class Inspector(Lines):
    """The cell if it stands for several, its partition, the attempts, the last error, what else is to be known."""

    DEFAULT_CSS = """
    Inspector { height: 4; }
    """


def cell_line(first: int, last: int, counts: Mapping[str, int], *, worse: int) -> list[Piece]:
    """`2880…2919  █ 39  ✗ 1`; partitions `first` to `last`, `worse` of them worse than the one that is pinned."""
    pieces: list[Piece] = [(f" {first:,}…{last:,} " if last > first else f" {first:,} ", "title")]
    for word, number in counts.items():
        name = word.capitalize()
        if name in MARKS:
            pieces.append((f" {MARKS[name]} {number:,} ", word))
    if worse:
        pieces.append((f" +{worse} worse", "failed"))
    return pieces


def partition_line(index: int, state: str, detail: PartitionDetail | None, now: float) -> list[Piece]:
    """Where the partition stands, why, and since when."""
    mark = MARKS.get(state.capitalize(), "·")
    pieces: list[Piece] = [(f" {index} ", "title"), (f"{mark} {state.capitalize()}", state)]
    if detail is None:
        return pieces
    row = detail.partition
    last = detail.attempts[-1] if detail.attempts else None
    if last is not None:
        pieces.append((f"  attempt {last.attempt}", ""))
        billed = sum(1 for attempt in detail.attempts if attempt.state in ("failed", "lost"))
        if billed:
            pieces.append((f", {billed} failed", "muted"))
        pieces.append((f"  {last.node_id}", "muted"))
        ran = _ran(last, now)
        if ran is not None:
            pieces.append((f"  {short_duration(ran)}", "muted"))
    due = seconds_of(detail.retry_at)
    if due is not None:
        pieces.append((f"  next attempt in {countdown(due - now)}", "retrying"))
    if state in ("waiting", "retrying", "assigned", "stopping") and row.message:
        pieces.append((f"  {row.message}", "muted"))
    return pieces


def attempt_lines(detail: PartitionDetail, now: float) -> list[list[Piece]]:
    """The same, a line each, the newest first."""
    lines = []
    for attempt in reversed(detail.attempts):
        mark, style = ATTEMPT_MARKS.get(attempt.state, ("·", "waiting"))
        ran = _ran(attempt, now)
        lines.append(
            [
                (f" #{attempt.attempt} {mark} {attempt.state}", style),
                (f"  {why(attempt)}".rstrip(), ""),
                (f"  {attempt.node_id}", "muted"),
                (f"  {short_duration(ran)}" if ran is not None else "", "muted"),
            ]
        )
    return lines


def attempts_line(detail: PartitionDetail, now: float) -> list[Piece]:
    """`#1 ✗ exit 137 n-07 · #2 ▶ n-21`, the last ones."""
    pieces: list[Piece] = [(" ", "")]
    shown = detail.attempts[-8:]
    if len(shown) < len(detail.attempts):
        pieces.append((f"… {len(detail.attempts) - len(shown)} more · ", "muted"))
    for at, attempt in enumerate(shown):
        mark, style = ATTEMPT_MARKS.get(attempt.state, ("·", "waiting"))
        ran = _ran(attempt, now)
        pieces += [
            (" · " if at else "", "muted"),
            (f"#{attempt.attempt} {mark}", style),
            (f" {why(attempt)}".rstrip(), ""),
            (f" {attempt.node_id}", "muted"),
            (f" {short_duration(ran)}" if ran is not None else "", "muted"),
        ]
    return pieces


def why(attempt: Attempt) -> str:
    """`exit 137`, `timeout`; empty for an attempt that did not fail."""
    if not attempt.cause:
        return ""
    return f"exit {attempt.exit_code}" if attempt.cause == "exit" and attempt.exit_code is not None else attempt.cause


def error_line(detail: PartitionDetail, same: int) -> list[Piece]:
    """The last error, and how many partitions failed the same way."""
    failed = next((one for one in reversed(detail.attempts) if one.message), None)
    if failed is None or not failed.cause:
        return []
    pieces: list[Piece] = [(" last error  ", "muted"), (failed.message, "failed")]
    if same > 1:
        pieces.append((f"  (same group: {same:,} partitions)", "muted"))
    return pieces


def _ran(attempt: Attempt, now: float) -> float | None:
    started = seconds_of(attempt.started)
    if started is None:
        return None
    return max(0.0, (seconds_of(attempt.finished) or now) - started)
