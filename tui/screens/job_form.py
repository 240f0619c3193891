"""The form of a job that is composed: a line a field."""

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Input, Label

from tui.model import form
from tui.model.compose import Composition
from tui.model.text import clean


class JobForm(VerticalScroll, can_focus=False):
    """The fields that the job's engine has; an `Input.Changed` goes out only for what was typed."""

    DEFAULT_CSS = """
    JobForm Horizontal { height: 1; }
    JobForm Label { width: 14; color: $secondary; padding: 0 0 0 1; }
    JobForm Input { height: 1; border: none; padding: 0 1; width: 1fr; background: $surface; }
    JobForm Input:focus { border: none; background: $panel; }
    """

    def compose(self) -> ComposeResult:
        """All fields."""
        for field in form.FIELDS:
            with Horizontal(id=f"row-{field.id}"):
                yield Label(field.label, markup=False)
                yield Input(placeholder=field.hint, id=f"field-{field.id}", select_on_focus=False)

    def fill(self, job: Composition, *, is_ascii: bool) -> None:
        """Show what the fields are now; a text that was refused stays as it was typed."""
        engine = form.engine_of(job.checked.data)
        for field in form.FIELDS:
            line = self.query_one(f"#field-{field.id}", Input)
            value = job.shown(field)
            if field.id not in job.refused:
                is_odd = clean(value) != value or (is_ascii and not value.isascii())
                value = form.ODD if is_odd else value
            if line.value != value:
                with line.prevent(Input.Changed):
                    line.value = value
            line.disabled = value in (form.SEVERAL_LINES, form.ODD)
            self.query_one(f"#row-{field.id}").display = form.has(engine, field)

    def field_of(self, line: Input) -> form.Field | None:
        """Which field a line is; None = another screen's."""
        return form.BY_ID.get((line.id or "").removeprefix("field-"))

    def begin(self) -> None:
        """To the first field."""
        self.query_one("#field-name", Input).focus()
