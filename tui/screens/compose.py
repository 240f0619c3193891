"""Composing a job: a form and a YAML text of the same document, checked while one types; the plan, and submitting from it."""

import asyncio
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult, SuspendNotSupported
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Input, TextArea

from orchestrator.client import ClientError
from orchestrator.contract.plan import Plan, PlanKind
from tui.background import begin
from tui.bindings import bindings
from tui.model import compose as model
from tui.model import form
from tui.places import Focus
from tui.screens.chooser import Chooser
from tui.screens.drafts import Drafts
from tui.screens.job_form import JobForm
from tui.screens.page import Page
from tui.screens.plan import own_plan, plan_lines, problem_lines
from tui.screens.spec import spec_text
from tui.widgets.choice import Choice
from tui.widgets.lines import Lines, Piece
from tui.widgets.yaml_area import YamlArea

PAUSE = 0.3
"""Seconds without typing before the text is checked."""
VIEWS = ("form", "yaml", "plan")
PROBLEMS = 3


class ComposePage(Page, inherit_bindings=False):
    """With a job in focus it begins as that job under the next name; else with the draft, or a template."""

    BINDINGS = bindings("page", "compose")
    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    ComposePage #tabs { height: 1; }
    ComposePage #form, ComposePage #yaml, ComposePage #plan { height: 1fr; display: none; }
    ComposePage.-form #form, ComposePage.-yaml #yaml, ComposePage.-plan #plan { display: block; }
    ComposePage #plan VerticalScroll { height: 1fr; }
    ComposePage #plan Horizontal { height: 1; margin: 1 0 0 1; }
    ComposePage #problems { height: 3; }
    """

    def __init__(self, focus: Focus) -> None:
        super().__init__(focus)
        self.composed = model.Composition()
        self._kept = self.composed.text
        self.draft_name = "new"
        """Under which what is typed is kept: that of the draft it began as, else one that is free."""
        self.plan: Plan | None = None
        self.view = "form"
        self._said = ""
        self._typed_at = 0.0
        self._is_busy = False

    def content(self) -> ComposeResult:
        """Tabs; form, YAML, plan; problems."""
        with Vertical(id="body"):
            yield Lines(id="tabs")
            yield JobForm(id="form")
            yield YamlArea("", id="yaml", tab_behavior="indent", show_line_numbers=True)
            with Vertical(id="plan"):
                with VerticalScroll(id="plan-text"):
                    yield Lines(id="plan-lines")
                with Horizontal():
                    yield Choice("Cancel", id="cancel")
                    yield Choice("Submit", id="submit")
            yield Lines(id="problems")

    def crumbs(self) -> Sequence[str]:
        """The job's name."""
        job = self.composed.checked.job
        name = job.name if job else ""
        return ("compose", name) if name else ("compose",)

    def on_mount(self) -> None:
        """Begin with something."""
        self.drafts = Drafts(self.shoal.options.settings.home, self.shoal.options.profile)
        self._show_view("form")
        if self.at.job_id:
            self.draft_name = self.drafts.free(self.at.job_name)
            begin(self, "begin", self._begin_from)
            return
        draft = self.drafts.newest("new")
        self.draft_name = draft.name if draft else "new"
        self.begin(draft.text if draft else model.PROCESS)
        if draft:
            self.shoal.tell(f"the draft of {draft.age} is taken up; F3 for templates")

    async def _begin_from(self) -> None:
        try:
            job = (await self.shoal.client.job(self.at.job_id)).job
        except ClientError as error:
            self.shoal.tell(error.message, severity="error")
            self.begin(model.PROCESS)
            return
        data = model.check(spec_text(job)).data
        name = model.next_name(job.name or "job")
        named = form.changed(data, form.BY_ID["name"], name)
        self.begin(model.dumped(model.without_reserved(named)))

    def begin(self, text: str) -> None:
        """Another text, in all views."""
        self.composed.begin(text)
        self._kept = self.composed.draft()
        self._fill_yaml()
        self._fill_form()
        self._check()
        self._show_view(self.view)

    # The two views of one text

    def _fill_form(self) -> None:
        self.query_one(JobForm).fill(self.composed, is_ascii=self.shoal.palette.is_ascii)

    def _fill_yaml(self) -> None:
        area = self.query_one(TextArea)
        if area.text != self.composed.text:
            with area.prevent(TextArea.Changed):
                area.text = self.composed.text

    def on_input_changed(self, event: Input.Changed) -> None:
        """A field of the form: write it into the text."""
        field = self.query_one(JobForm).field_of(event.input)
        if field is None:
            return
        self.composed.enter(field, event.value)
        self._fill_yaml()
        self._typed()
        if field.id == "engine":
            self._fill_form()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """The YAML."""
        self.composed.write(event.text_area.text)
        self._typed()

    def _typed(self) -> None:
        self._typed_at = time.monotonic()
        self.plan = None
        self._show_problems()
        self.set_timer(PAUSE + 0.01, self._check_if_quiet)

    def _check_if_quiet(self) -> None:
        if self in self.app.screen_stack and time.monotonic() - self._typed_at >= PAUSE:
            self._check()

    def _check(self) -> None:
        """Keep it; if nothing is wrong, let the server check."""
        self.plan = None
        self._said = ""
        with contextlib.suppress(OSError):
            self._keep()
        self._show_problems()
        self.show_header()
        self._show_plan()
        if self.composed.job is not None:
            begin(self, "plan", self._ask_plan)

    def _keep(self) -> None:
        draft = self.composed.draft()
        if draft != self._kept:
            self.drafts.keep(self.draft_name, draft)
            self._kept = draft

    async def _ask_plan(self) -> None:
        job = self.composed.job
        if job is None:
            return
        try:
            plan = await self.shoal.client.plan(job)
        except ClientError as error:
            if error.code != "NotOffered":
                self._said = f"the orchestrator did not check it: {error.message}"
                self._show_problems()
                return
            plan = own_plan(job, self.shoal.overview.jobs.values())
        if job == self.composed.job:
            self.plan = plan
            self._show_problems()
            self._show_plan()

    # What is shown

    def paint(self) -> None:
        """The tabs."""
        if not self.is_attached:
            return
        pieces: list[Piece] = [(" ", "")]
        for view, label in zip(VIEWS, ("Form", "YAML", "Plan"), strict=True):
            pieces.append((f" {label} ", "cursor" if view == self.view else "muted"))
            pieces.append(("  ", ""))
        if self.composed.job is None:
            pieces.append((f"  {len(self.composed.findings)} to mend", "failed"))
        elif self.plan is not None:
            pieces.append((f"  {self.plan.kind.value}", "failed" if self.plan.problems else "completed"))
        else:
            pieces.append(("  checking …", "muted"))
        self.query_one("#tabs", Lines).show([pieces])

    def _show_problems(self) -> None:
        found = [(one.text, one.line) for one in self.composed.findings]
        if self.plan is not None:
            found += [(str(problem), 0) for problem in self.plan.problems]
        if self._said:
            found.insert(0, (self._said, 0))
        lines = problem_lines(found, PROBLEMS)
        if not found:
            lines = [[(" ✓ ", "completed"), (warning, "running")] for warning in self.composed.checked.warnings]
        self.query_one("#problems", Lines).show(lines)
        self.paint()

    def _show_plan(self) -> None:
        job = self.composed.job
        if job is None:
            lines: list[list[Piece]] = [[(" REFUSED ", "failed"), ("as it is; what is wrong stands below", "title")]]
        elif self.plan is None:
            lines = [[(" asking …", "muted")]]
        else:
            lines = plan_lines(self.plan, job.name)
        text = self.query_one("#plan-lines", Lines)
        text.styles.height = len(lines)
        text.show(lines)
        submit = self.query_one("#submit", Choice)
        is_update = self.plan is not None and self.plan.kind is PlanKind.UPDATE
        submit.name_it("Update" if is_update else "Submit")

    def _show_view(self, view: str) -> None:
        """A view, and the focus into it; a text that cannot be read has no form."""
        if view == "form" and not self.composed.has_form:
            view = "yaml"
        self.view = view
        for name in VIEWS:
            self.set_class(name == view, f"-{name}")
        if view == "form":
            self.query_one(JobForm).begin()
        elif view == "yaml":
            self.query_one(TextArea).focus()
        else:
            self.call_after_refresh(self.query_one("#cancel", Choice).focus)
        self.paint()
        self.refresh_bindings()

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Letters are text here; submitting needs the right and the link."""
        if action == "filter" or (action == "go" and isinstance(self.focused, Input | TextArea)):
            return False
        return super().check_action(action, parameters)

    def action_flip(self) -> None:
        """The form, or the YAML."""
        if self.view == "form":
            self._show_view("yaml")
            return
        self._check()
        self._fill_form()
        self._show_view("form")
        if not self.composed.has_form:
            self.shoal.tell("there is no form of a text that cannot be read: mend it here first", severity="warning")

    def action_plan(self) -> None:
        """The plan; Cancel has the focus."""
        self._check()
        self._show_view("plan")

    def action_templates(self) -> None:
        """Begin with something else; what was typed stays as a draft."""
        with contextlib.suppress(OSError):
            self._keep()
        home = self.shoal.options.settings.home
        samples = Path(__file__).resolve().parents[2] / "samples"
        drafts = self.drafts.all()
        found = model.templates(*(path for path in (samples, home / "templates") if path.is_dir()))
        entries = [(draft.name, f"draft of {draft.age}") for draft in drafts] + [(t.name, t.origin) for t in found]
        texts = [draft.text for draft in drafts] + [template.text for template in found]

        def chosen(at: int | None) -> None:
            if at is not None and at >= 0:
                self.view = "form"
                self.draft_name = drafts[at].name if at < len(drafts) else self.drafts.free("new")
                self.begin(texts[at])

        self.shoal.cover(Chooser("Begin with", entries), chosen)

    def action_save_file(self) -> None:
        """Write the YAML into the working directory."""
        name = self.composed.checked.job.name if self.composed.checked.job else "job"
        plain = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip(".") or "job"
        try:
            path = self.shoal.write_file(f"{plain[:60]}.yaml", self.composed.text.encode())
        except OSError as error:
            self.shoal.tell(f"the job could not be written: {error}", severity="error")
        else:
            self.shoal.tell(f"written to {path}")
            self._tell_what_is_missing()

    def action_copy_yaml(self) -> None:
        """The YAML."""
        self.shoal.copy(self.composed.text, "job YAML")
        self._tell_what_is_missing()

    def action_copy_command(self) -> None:
        """The command that would submit it."""
        self.shoal.copy(model.as_command(self.composed.text, self.shoal.options.settings.url), "command")
        self._tell_what_is_missing()

    def _tell_what_is_missing(self) -> None:
        if self.composed.refused:
            names = ", ".join(form.BY_ID[name].label for name in self.composed.refused)
            self.shoal.tell(f"it has the former {names}: what was typed there is refused", severity="warning")

    def action_editor(self) -> None:
        """Edit the YAML in $EDITOR."""
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        with tempfile.TemporaryDirectory() as home:
            path = Path(home) / "job.yaml"
            path.write_text(self.composed.text)
            try:
                with self.app.suspend():
                    subprocess.run([*editor.split(), str(path)], check=False)
                self.composed.write(path.read_text())
                self._fill_yaml()
                self._fill_form()
                self._check()
                self._show_view(self.view)
            except SuspendNotSupported:
                self.shoal.tell("there is no terminal to hand over here", severity="warning")
            except (OSError, UnicodeDecodeError) as error:
                self.shoal.tell(f"{editor}: {error}", severity="error")

    def action_back(self) -> None:
        """From the plan to the form; from there away: the draft is kept."""
        if self.view == "plan":
            self._show_view("form")
            return
        try:
            self._keep()
        except OSError as error:
            self.shoal.tell(f"the draft could not be kept: {error}", severity="error", seconds=10)
        super().action_back()

    # Submitting

    def on_choice_pressed(self, message: Choice.Pressed) -> None:
        """Submit, or back to the form."""
        if message.choice.id == "cancel":
            self.action_back()
        elif self._may_submit():
            self._is_busy = True
            begin(self, "submit", self._submit)

    def _may_submit(self) -> bool:
        app = self.shoal
        if self._is_busy:
            return False
        if self.is_read_only:
            app.tell("this is read-only: nothing can be submitted from here", severity="warning")
        elif not app.link.is_usable:
            app.tell("offline: nothing can be submitted now; the draft is kept", severity="warning")
        elif self.composed.job is None or (self.plan is not None and self.plan.problems):
            app.tell("there is something to mend first", severity="warning")
        elif self.plan is None:
            app.tell("the plan is still being asked for")
        elif self.plan.kind is PlanKind.UNCHANGED:
            app.tell("nothing of it changed; give it another name to run it again", severity="warning")
        else:
            return True
        return False

    async def _submit(self) -> None:
        job, app = self.composed.job, self.shoal
        assert job is not None
        try:
            answer = await app.client.submit(job)
        except ClientError as error:
            app.tell(f"submit: {error.message}", severity="error", seconds=10)
        else:
            await asyncio.to_thread(self.drafts.forget, self.draft_name)
            app.tell(f"submitted: {job.name} {answer.job_id[:10]}")
            app.reconnect()
            app.go_back()
            app.open_job(Focus(job_id=answer.job_id, job_name=job.name))
        finally:
            self._is_busy = False
