"""What all screens share: line 1, the body, the prompt, the footer; painting at a bounded rate; going back."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Input

from tui.bindings import ACTING, bindings
from tui.messages import LinkChanged, OverviewChanged
from tui.model.jobs import JobLine, hold_of
from tui.places import Focus, is_open_to
from tui.widgets.header_line import HeaderLine
from tui.widgets.key_footer import KeyFooter
from tui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from tui.app import ShoalApp


class Page(Screen[None], inherit_bindings=False):
    """A screen of shoal. Subclasses say what is in the body (`content`), the crumbs, and what to paint (`paint`)."""

    BINDINGS = bindings("page")
    AUTO_FOCUS = "#body *"

    def __init__(self, focus: Focus | None = None) -> None:
        super().__init__()
        self.at = focus or Focus()
        self._painted = 0.0
        self._held = ""

    @property
    def shoal(self) -> "ShoalApp":
        """The app, with its type."""
        return cast("ShoalApp", self.app)

    @property
    def is_read_only(self) -> bool:
        """Whether nothing can be changed from here: that was asked for, or the token is a viewer's."""
        return self.shoal.options.read_only or self.shoal.rights.is_viewer

    def content(self) -> ComposeResult:
        """The widgets between line 1 and the footer."""
        yield from ()

    def crumbs(self) -> Sequence[str]:
        """Where we are, from the profile on."""
        return ()

    def paint(self) -> None:
        """Draw what changed since the last time. Called at the rate of the app while the screen is seen."""

    def focus_now(self) -> Focus:
        """What is under the cursor, for screens that are opened from here."""
        return self.at

    def jobs_now(self) -> list[JobLine]:
        """The jobs that keys which act on whole jobs mean."""
        line = self.shoal.overview.lines.get(self.focus_now().job_id)
        return [line] if line else []

    def hold_now(self) -> str:
        """Which of `suspend` and `resume` applies here, if any."""
        return hold_of(self.jobs_now())

    def compose(self) -> ComposeResult:
        """Line 1, body, prompt, footer."""
        yield HeaderLine(id="header")
        yield from self.content()
        yield Prompt()
        yield KeyFooter()

    def on_mount(self) -> None:
        """Paint at the app's rate; line 1 twice a second."""
        self.set_interval(1 / self.shoal.options.fps, self._paint_if_seen)
        self.set_interval(0.5, self.show_header)
        self.call_after_refresh(self.show_header)

    def on_screen_resume(self) -> None:
        """Seen again: everything may be old."""
        self.show_header()
        self.paint()
        self.refresh_bindings()

    def on_resize(self) -> None:
        """Line 1 drops what does not fit."""
        self.call_after_refresh(self.show_header)

    def _paint_if_seen(self) -> None:
        """Paint, unless something else covers the screen or painting takes more than its share of the time."""
        if self.shoal.is_paused or not self._is_seen():
            return
        now = time.monotonic()
        if now - self._painted < self.shoal.pace() or self.shoal.terminal.is_busy(self.shoal.monotonic()):
            return
        self._painted = now
        self.paint()
        self.shoal.spent(time.monotonic() - now)

    def _is_seen(self) -> bool:
        stack = self.app.screen_stack
        return self in stack and all(screen.is_modal for screen in stack[stack.index(self) + 1 :])

    def show_header(self) -> None:
        """Line 1 as it is now."""
        if not self.is_attached or not self._is_seen():
            return
        app = self.shoal
        flags = [
            *([app.said] if app.said else []),
            *(["ro"] if self.is_read_only else []),
            *(["paused"] if app.is_paused else []),
        ]
        if term := app.terminal.text(app.monotonic()):
            flags.append(term)
        if app.mark:
            flags.append(f"A={app.mark.partition}.{app.mark.attempt}")
        self.query_one(HeaderLine).tell(
            (app.options.profile, *self.crumbs()),
            app.link,
            now=app.monotonic(),
            wall=app.wall(),
            nodes=app.overview.nodes_text(),
            flags=flags,
            user=app.rights.user,
        )

    @property
    def prompt(self) -> Prompt:
        """The line to type in."""
        return self.query_one(Prompt)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Acting is hidden from who may not, grey while offline; screens that do not exist are not offered."""
        if action in ("filter", "grep"):
            return not isinstance(self.focused, Input)
        if action in ACTING:
            if self.is_read_only or not self.shoal.rights.may(action):
                return False
            if action == "hold" and parameters != (self.hold_now(),):
                return False
            if action.startswith("compose") and not is_open_to("compose", self.at):
                return False
            return True if self.shoal.link.is_usable else None
        return True

    def on_link_changed(self, _: LinkChanged) -> None:
        """What may be done depends on the link."""
        self.show_header()
        self.refresh_bindings()

    def on_overview_changed(self, _: OverviewChanged) -> None:
        """Line 1 counts the nodes; a job that is suspended can be resumed."""
        self.show_header()
        if self.hold_now() != self._held:
            self._held = self.hold_now()
            self.refresh_bindings()

    # Keys of every page

    def clear_filter(self) -> bool:
        """Clear the filter, or marks; False = there was nothing to clear."""
        return False

    def action_back(self) -> None:
        """Clear the filter, else close the screen."""
        if not self.clear_filter():
            self.shoal.go_back()

    def action_filter(self) -> None:
        """Open the prompt for a filter, if this screen has one."""
        text = self.filter_text()
        if text is not None:
            self.prompt.ask("filter", "/", text)

    def filter_text(self) -> str | None:
        """The filter in force; None = this screen has none."""
        return None

    def take_filter(self, text: str) -> None:
        """Use a filter. Raises ValueError for one that makes no sense."""

    def on_prompt_entered(self, message: Prompt.Entered) -> None:
        """Enter in the prompt."""
        if message.kind == "command":
            self._try(lambda: self.shoal.run_command(message.text))
        elif message.kind == "filter":
            self._try(lambda: self.take_filter(message.text))
        else:
            self._try(lambda: self.take_text(message.kind, message.text))

    def take_text(self, kind: str, text: str) -> None:
        """Use what was typed for something else than a filter. Raises ValueError."""

    def _try(self, use: Callable[[], None]) -> None:
        try:
            use()
        except ValueError as error:
            self.prompt.refuse(str(error))
        else:
            self.prompt.close()

    def act_on_jobs(self, verb: str, then: Callable[[bool | None], None] | None = None) -> None:
        """Ask about whole jobs; `then` gets whether it was done."""
        from tui.screens.acting import ActDialog, on_jobs  # noqa: PLC0415 - dialogs are needed seldom

        if lines := self.jobs_now():
            self.shoal.cover(ActDialog(on_jobs(verb, lines)), then)

    def action_hold(self, verb: str) -> None:
        """Suspend what is in focus, or resume it."""
        self.act_on_jobs(verb)

    def action_go(self) -> None:
        """Open the go menu."""
        from tui.screens.go_menu import GoMenu  # noqa: PLC0415 - it needs pages itself

        self.shoal.cover(GoMenu(self.focus_now()), self._gone)

    def _gone(self, chosen: str | None) -> None:
        if chosen == "top":
            top = getattr(self.focused, "action_home", None)
            if top is not None:
                top()
        elif chosen == "jobs":
            self.shoal.go_home()
        elif chosen == "events":
            self.shoal.open(chosen, Focus())
        elif chosen:
            self.shoal.action_open_tool(chosen)
