"""The app: one client, the line to the orchestrator, the overview of the cluster; themes, keys, going from screen to screen."""

import asyncio
import contextlib
import io
import os
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from signal import SIGHUP, SIGTERM
from typing import TypeVar

from msgspec.structs import replace
from textual.app import SystemCommand
from textual.command import CommandPalette
from textual.events import CursorPosition, DescendantFocus, Key
from textual.screen import Screen
from textual.widgets import Input, TextArea
from textual.worker import Worker

from orchestrator.client import ClientError, OrchestratorClient, UnreachableError
from tui import commands, keymap
from tui.background import begin
from tui.bindings import bindings
from tui.connect import client_of
from tui.in_turn import InTurn
from tui.messages import LinkChanged, OverviewChanged
from tui.model.jobs import Alarm
from tui.model.link import Link, LinkState
from tui.model.terminal import RoundTrip
from tui.model.text import clean
from tui.options import Options
from tui.overview import Overview
from tui.places import Focus, is_open_to, make
from tui.rights import Rights
from tui.screens.jobs import JobsPage
from tui.screens.page import Page
from tui.styles.themes import AS_NAMED, NAMES, THEMES
from tui.widgets import palette as palettes
from tui.widgets.palette import Palette

T = TypeVar("T")
UNREACHABLE = 5
"""Exit code when the orchestrator was never there."""
REFRESH = 2.0
"""Seconds between two looks at the cluster, where it does not tell by itself what changes."""
LONGEST_PAUSE = 10.0
WIDE_BLOCK = 2
"""Where the cursor stands after a block that took two cells, as in terminals set up for Chinese, Japanese or Korean."""
MOST_CLIPBOARD = 100_000
"""Bytes that a terminal takes; more is written to a file."""


class ShoalApp(InTurn[int], inherit_bindings=False):
    """The operator's terminal."""

    TITLE = "shoal"
    CSS_PATH = Path(__file__).parent / "styles" / "app.tcss"
    BINDINGS = bindings("app")
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]  # noqa: RUF012 - Textual annotates it
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]  # noqa: RUF012 - the same

    def __init__(self, options: Options, *, client: OrchestratorClient | None = None) -> None:
        has_no_color = bool(os.environ.get("NO_COLOR"))
        super().__init__(ansi_color=True if has_no_color else None)
        self.use_command_palette = True
        self.options = options
        self.has_no_color = has_no_color
        self.client = client or client_of(options.settings)
        self.link = Link()
        self.overview = Overview()
        self.rights = Rights()
        self.terminal = RoundTrip()
        self.alarm = Alarm()
        self._is_measured = False
        self.is_paused = False
        self.said = ""
        """What line 1 says of this app itself: what it records, where in a recording it is."""
        self.mark: Focus | None = None
        """The attempt that others are compared with."""
        self.keymap_problems: list[str] = []
        self._palette: Palette | None = None
        self._cost = 0.0
        self.set_class(options.is_ascii, "-ascii")
        if self.console.color_system == "standard":
            self.ansi_theme_dark = self.ansi_theme_light = AS_NAMED
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "monochrome" if has_no_color else options.theme

    # Time, pace, look

    def monotonic(self) -> float:
        """Seconds of a clock that never jumps."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def pace(self) -> float:
        """Seconds that must lie between two paintings: more when painting is dear, or nobody looks."""
        slow = self.terminal.rate(4.0 if self._cost > 0.040 else self.options.fps, self.monotonic())
        return 0.9 / (min(2.0, slow) if not self.app_focus else slow)

    def spent(self, seconds: float) -> None:
        """What the last painting cost."""
        self._cost = 0.8 * self._cost + 0.2 * seconds

    def post_display_hook(self) -> None:
        """Something was written: the terminal is asked to tell when it has got there, from the answer about the block on."""
        self._ask_terminal()

    @property
    def _background_screens(self) -> list[Screen[object]]:
        """A page covers what is below it: only beside a dialog is something of that to be drawn."""
        return super()._background_screens if self.screen.is_modal else []

    def _ask_terminal(self, before: str = "", after: str = "") -> None:
        if self._driver is None or self.is_headless or self.is_web or not (before or self._is_measured):
            return
        if self.terminal.ask(self.monotonic()):
            self._driver.write(f"{before}\x1b[6n{after}")

    def on_cursor_position(self, event: CursorPosition) -> None:
        """The terminal answers; the first time it also tells whether it draws a block in one cell."""
        if self.terminal.answered(self.monotonic()):
            self._ask_terminal()
        if not self._is_measured:
            self._is_measured = True
            if event.x == WIDE_BLOCK and not self.options.is_ascii:
                self.options = replace(self.options, is_ascii=True)
                self._palette = None
                self.set_class(True, "-ascii")  # noqa: FBT003 - Textual's positional
                self.refresh_css(animate=False)
                self.screen.refresh(layout=True)

    @property
    def palette(self) -> Palette:
        """Styles of the theme on this terminal."""
        if self._palette is None:
            self._palette = palettes.make(
                self.theme_variables,
                colours=self.options.colours or self.console.color_system or "truecolor",
                is_ascii=self.options.is_ascii,
                is_mono=self.has_no_color or self.theme == "monochrome",
                has_no_color=self.has_no_color,
                theme=self.theme,
            )
        return self._palette

    def watch_theme(self, _: str) -> None:
        """Widgets that draw by themselves take their styles anew."""
        self._palette = None

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Themes of Textual's own lack the states' colours."""
        return dict(THEMES[0].variables)

    # Life

    def get_default_screen(self) -> Screen[None]:
        """The list of jobs is home."""
        return JobsPage()

    async def on_mount(self) -> None:
        """Read the keymap, begin to follow the cluster, open the job that was asked for."""
        self._ask_terminal("\x1b7\x1b[1;1H█", "\x1b[1;1H  \x1b8")
        for signal in (self.app_suspend_signal, self.app_resume_signal):
            signal.subscribe(self, lambda _: self.terminal.forget(self.monotonic()), immediate=True)
        self.set_keymap(self._read_keymap())
        if not self.is_headless:  # told to end, it gives the terminal back as it was
            for number in (SIGTERM, SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, partial(self.exit, return_code=128 + number))
        self.reconnect()
        if self.options.job:
            self.open_job(Focus(job_id=self.options.job, job_name=self.options.job))

    async def on_unmount(self) -> None:
        """Give up all connections."""
        with contextlib.suppress(Exception):
            await self.client.http.aclose()

    def _read_keymap(self) -> dict[str, str]:
        usable, self.keymap_problems = keymap.read(self.options.keymap, self.options.settings.home)
        for problem in self.keymap_problems:
            self.tell(problem, severity="warning")
        return usable

    def reconnect(self) -> Worker[None]:
        """Follow the cluster, from now; what was on the way is given up."""
        return begin(self, "overview", self._follow)

    async def _follow(self) -> None:
        pause = 0.5
        while True:
            try:
                await self.rights.ask(self.client)
                async with aclosing(self.overview.follow(self.client, self._period)) as changes:
                    async for _ in changes:
                        pause = 0.5
                        self.link.rtt = self.overview.rtt
                        self.link.heard(self.monotonic())
                        self._ring()
                        self.tell_screens(OverviewChanged())
                        self.tell_screens(LinkChanged())
            except UnreachableError as error:
                self.link.lost(self.monotonic(), error.reason, pause)
            except ClientError as error:
                if error.status in (401, 403):
                    self.link.refused(error.message)
                else:
                    self.link.lost(self.monotonic(), error.message, pause)
            self.tell_screens(LinkChanged())
            if self.link.state is LinkState.REFUSED:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _ring(self) -> None:
        """Where that was asked for: the terminal's bell, and its title, when a job fails."""
        failed = self.alarm.failed(self.overview.lines.values())
        if failed and self.options.bell and self._driver is not None:
            self.bell()
            self._driver.write(f"\x1b]2;shoal: {clean(failed[0])} failed\x07")

    def _period(self) -> float:
        return REFRESH if isinstance(self.screen, JobsPage) else 2 * REFRESH

    def tell_screens(self, message: LinkChanged | OverviewChanged) -> None:
        """A message for every page that is open."""
        for screen in self.screen_stack:
            if isinstance(screen, Page):
                screen.post_message(type(message)())

    # Going about

    def cover(self, screen: Screen[T], then: Callable[[T | None], None] | None = None) -> None:
        """Put a screen on top; `then` gets what it gives when it closes."""
        _ = self.push_screen(screen, then)

    def open_job(self, focus: Focus) -> None:
        """Open a job."""
        self.cover(make("job", focus))

    def open(self, place: str, focus: Focus) -> None:
        """Open a screen for what is in focus."""
        self.cover(make(place, focus))

    def go_back(self) -> None:
        """Close the top screen; at home: ask, and leave."""
        if len(self.screen_stack) > 1:
            _ = self.pop_screen()
        else:
            self.action_quit_softly()

    def go_home(self) -> None:
        """Close everything but the list of jobs."""
        while len(self.screen_stack) > 1:
            _ = self.pop_screen()

    def run_command(self, text: str) -> None:
        """Carry out a line of the command bar. Raises ValueError that says what is known."""
        page = self.screen
        commands.run(self, text, page.focus_now() if isinstance(page, Page) else Focus())

    def tell(self, text: str, *, severity: str = "information", seconds: float = 5.0) -> None:
        """A toast. Text from outside is never markup."""
        level = severity if severity in ("warning", "error") else "information"
        self.notify(self.palette.text(clean(text)), severity=level, timeout=seconds, markup=False)  # type: ignore[arg-type]

    def copy(self, text: str, what: str) -> None:
        """Put a text on the clipboard, by way of the terminal; a long one into a file."""
        size = len(text.encode())
        if size > MOST_CLIPBOARD:
            path = self.write_file(f"{what.replace(' ', '-')}.txt", text.encode())
            self.tell(f"{what}: {size:,} bytes are too much for a terminal; written to {path}")
            return
        self.copy_to_clipboard(text)
        self.tell(f"{what} sent to terminal (OSC 52), {size} bytes")

    def write_file(self, name: str, content: bytes) -> Path:
        """Write a file into the working directory, under a name that is free. Raises OSError.

        In a browser it is a download: nothing is written here.
        """
        if self.is_web:
            self.deliver_binary(io.BytesIO(content), save_filename=name)
            return Path(name)
        base = Path.cwd() / name
        path, number = base, 1
        while path.exists():
            number += 1
            path = base.with_stem(f"{base.stem}-{number}")
        path.write_bytes(content)
        return path

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Screens that do not exist, or lack what they need, are not offered."""
        if action == "open_tool":
            page = self.screen
            return is_open_to(str(parameters[0]), page.focus_now()) if isinstance(page, Page) else False
        if action == "command":
            return isinstance(self.screen, Page) and not isinstance(self.focused, Input | TextArea)
        if action == "mark_a":
            return is_open_to("compare", Focus(job_id="-", partition=0))
        if action == "suspend_process":
            return os.name == "posix" and not self.is_web
        return True

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Nothing blinks: that would be a picture every half second."""
        if isinstance(event.widget, Input | TextArea):
            event.widget.cursor_blink = False

    def on_key(self, event: Key) -> None:
        """Esc with a key right behind it arrives as alt and that key: nothing of ours is bound to those, so it is both."""
        if event.key.startswith("alt+"):
            event.stop()
            rest = event.key.removeprefix("alt+")
            self.type_first(Key("escape", None), Key(rest, rest if len(rest) == 1 else None))

    def action_command(self) -> None:
        """The command bar."""
        if isinstance(page := self.screen, Page):
            page.prompt.ask("command", ":", suggestions=commands.suggestions(self))

    def action_open_tool(self, place: str) -> None:
        """Open a screen for what is under the cursor."""
        if isinstance(page := self.screen, Page):
            self.open(place, page.focus_now())

    def action_mark_a(self) -> None:
        """Keep the attempt in focus, to compare another with it."""
        page = self.screen
        if isinstance(page, Page) and page.focus_now().partition >= 0:
            self.mark = page.focus_now()
            page.show_header()

    def action_command_palette(self) -> None:
        """Anything, by a few letters of its name."""
        if not isinstance(self.screen, CommandPalette):
            self.cover(CommandPalette(placeholder="Search commands, jobs, themes", id="--command-palette"))

    def action_help(self) -> None:
        """The keys that are active now."""
        from tui.screens.help import help_of  # noqa: PLC0415 - it is seldom asked for

        self.cover(help_of(self.screen, self.palette))

    def action_picture(self) -> None:
        """Save the screen as an SVG picture."""
        try:
            path = self.write_file(f"shoal-{time.strftime('%Y%m%d-%H%M%S')}.svg", self.export_screenshot().encode())
        except OSError as error:
            self.tell(f"the picture could not be written: {error}", severity="error")
        else:
            self.tell(f"picture saved: {path}")

    def action_pause(self) -> None:
        """Stop painting, or go on."""
        self.is_paused = not self.is_paused
        if isinstance(self.screen, Page):
            self.screen.show_header()

    def action_reconnect(self) -> None:
        """Connect again now."""
        self.link.state = LinkState.CONNECTING if self.link.state is LinkState.REFUSED else self.link.state
        self.reconnect()
        for screen in self.screen_stack:
            again = getattr(screen, "reconnect", None)
            if again is not None:
                again()

    def action_next_theme(self) -> None:
        """The next theme."""
        at = NAMES.index(self.theme) if self.theme in NAMES else -1
        self.theme = NAMES[(at + 1) % len(NAMES)]

    async def action_quit(self) -> None:
        """Leave at once."""
        self.exit(0 if self.link.has_connected else UNREACHABLE)

    def action_quit_softly(self) -> None:
        """Ask, and leave; where nothing ever answered there is nothing to ask."""
        if not self.link.has_connected:
            self.exit(UNREACHABLE)
            return
        from tui.screens.dialogs import Ask  # noqa: PLC0415 - dialogs need pages

        self.cover(Ask("Leave shoal? Jobs go on without it.", "Leave"), lambda yes: self.exit(0) if yes else None)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette offers: what can be done here, the jobs, the themes."""
        return commands.palette(self, screen)
