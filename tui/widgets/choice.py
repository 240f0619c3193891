"""A button of one line: `[ Cancel ]`. Enter, space or a click presses it."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click
from textual.message import Message

from tui.widgets.lines import Lines


class Choice(Lines, can_focus=True):
    """One answer of a dialog."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "press", "press", show=False, id="dialog.press")]
    DEFAULT_CSS = """
    Choice { width: auto; min-width: 10; height: 1; margin: 0 2 0 0; background: $panel; }
    """

    class Pressed(Message):
        """The answer was chosen."""

        def __init__(self, choice: "Choice") -> None:
            super().__init__()
            self.choice = choice

    def __init__(self, label: str, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.label = label

    def name_it(self, label: str) -> None:
        """Another label."""
        self.label = label
        self._draw()

    def on_mount(self) -> None:
        """Draw."""
        self._draw()

    def on_focus(self) -> None:
        """Shown by brackets and colour."""
        self._draw()

    def on_blur(self) -> None:
        """The same."""
        self._draw()

    def _draw(self) -> None:
        is_here = self.screen.focused is self  # `has_focus` is set only after `on_focus`
        self.styles.width = len(self.label) + 6
        self.show(
            [[(f"{'▸' if is_here else ' '} [ {self.label} ] "[: len(self.label) + 6], "cursor" if is_here else "")]]
        )

    def action_press(self) -> None:
        """Choose it."""
        self.post_message(self.Pressed(self))

    def on_click(self, event: Click) -> None:
        """Choose it."""
        event.stop()
        self.action_press()
