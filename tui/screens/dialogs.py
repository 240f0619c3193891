"""Questions. Cancel has the focus; `y` accepts; esc leaves everything as it is."""

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from tui.bindings import bindings
from tui.screens.modal import Modal
from tui.widgets.choice import Choice
from tui.widgets.lines import Lines

if TYPE_CHECKING:
    from tui.app import ShoalApp

BOX = """
    height: auto; max-height: 100%; overflow-y: auto; scrollbar-size-vertical: 1;
    width: 80%; max-width: 96; min-width: 38; padding: 1 2; background: $background; border: round $primary;
"""


class Dialog(Modal[bool], inherit_bindings=False):
    """A question with two answers; gives whether it was accepted. Subclasses compose it, and do it in `action_accept`."""

    BINDINGS = bindings("dialog")
    AUTO_FOCUS = "#cancel"

    @property
    def shoal(self) -> "ShoalApp":
        """The app, with its type."""
        return cast("ShoalApp", self.app)

    def on_choice_pressed(self, message: Choice.Pressed) -> None:
        """An answer."""
        if message.choice.id == "accept":
            self.action_accept()
        else:
            self.action_cancel()

    def on_input_submitted(self) -> None:
        """Enter in a field."""
        self.action_accept()

    def action_accept(self) -> None:
        """Yes."""
        _ = self.dismiss(True)  # noqa: FBT003 - Textual's positional result

    def action_cancel(self) -> None:
        """No: everything stays as it is."""
        _ = self.dismiss(False)  # noqa: FBT003 - the same

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual asks so
        """There is nothing to tick; buttons press themselves."""
        return action not in ("toggle_completed", "press")


class Ask(Dialog):
    """A question of one line."""

    DEFAULT_CSS = f"""
    Ask #box {{ {BOX} }}
    Ask #box Horizontal {{ height: 1; margin: 1 0 0 0; }}
    """

    def __init__(self, question: str, verb: str) -> None:
        super().__init__()
        self._question = question
        self._verb = verb

    def compose(self) -> ComposeResult:
        """The question and two answers."""
        with Vertical(id="box"):
            yield Lines(id="question")
            with Horizontal():
                yield Choice("Cancel", id="cancel")
                yield Choice(self._verb, id="accept")

    def on_mount(self) -> None:
        """Ask."""
        self.query_one("#question", Lines).show([[(self._question, "title")]])
