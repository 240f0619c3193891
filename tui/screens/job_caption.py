"""What stands above the grid of a job: its size and scale, the lens, what is filtered and marked, how the job stands."""

from typing import TYPE_CHECKING

from tui.model.job import Lens
from tui.model.moments import counted, short_duration
from tui.widgets.lines import Piece

if TYPE_CHECKING:
    from tui.screens.job import JobPage


def caption(page: "JobPage") -> list[Piece]:
    """The line above the grid."""
    view, model = page.view, page.model
    if not page.is_loaded:
        return [(f" {page.problem or 'loading …'}", "failed" if page.problem else "muted")]
    scale = model.scale
    each = "1 a cell" if scale == 1 else f"{scale} a cell · row {scale * page.grid.columns:,}"
    how = "" if page.has_class("-table") else f" · {each} · lens {model.lens.value}"
    pieces: list[Piece] = [(f" {counted(view.count, 'partition')}{how}", "muted")]
    if model.lens is Lens.DURATION and (page.source.lacks_times or model.seconds):
        known = f" · median {short_duration(model.median)}" if model.seconds else " · this server tells no times"
        pieces.append((known, "muted"))
    if view.job_state and view.job_state != "Running":
        style = {"Failed": "failed", "Completed": "completed", "Stopped": "stopped"}.get(view.job_state, "retrying")
        pieces.append((f" · {view.job_state}", style))
    line = page.shoal.overview.lines.get(view.job_id)
    if line is not None and line.is_suspended and not line.state.is_terminal:
        pieces.append((" · Suspended", "retrying"))
    if model.filter_text and model.mask is not None:
        number = model.mask.count(1)
        pieces += [("  / ", "key"), (model.filter_text, "key"), (f"  {number:,} match", "muted")]
    if model.marks:
        pieces.append((f"  {len(model.marks):,} marked", "running"))
    if view.job_message and view.job_state != "Running":
        pieces.append((f"  {view.job_message}", "muted"))
    return pieces
