"""One line to type in, at the foot of a screen: the command bar (`:`), the filter (`/`), a text that a screen asks for."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Key
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input, Label


class Prompt(Horizontal):
    """Hidden until `ask`; then it has the focus until enter or esc."""

    DEFAULT_CSS = """
    Prompt { height: 1; display: none; background: $panel; }
    Prompt Label { width: auto; color: $accent; text-style: bold; padding: 0 0 0 1; }
    Prompt Input { width: 1fr; height: 1; border: none; padding: 0 1; background: $panel; }
    Prompt Input:focus { border: none; }
    Prompt #problem { color: $error; padding: 0 1; max-width: 60%; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    class Changed(Message):
        """The text changed; `kind` is what was asked for."""

        def __init__(self, kind: str, text: str) -> None:
            super().__init__()
            self.kind = kind
            self.text = text

    class Entered(Changed):
        """Enter was pressed."""

    class Left(Message):
        """Esc was pressed."""

        def __init__(self, kind: str) -> None:
            super().__init__()
            self.kind = kind

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self.kind = ""
        self._came_from: object = None

    def compose(self) -> ComposeResult:
        """The mark, the text, what is wrong with it."""
        yield Label("", id="mark", markup=False)
        yield Input(id="typed")
        yield Label("", id="problem", markup=False)

    def ask(self, kind: str, mark: str, text: str = "", *, suggestions: Sequence[str] = ()) -> None:
        """Open it for `kind`, with `text` in it."""
        typed = self.query_one(Input)
        self.kind = kind
        self._came_from = self.screen.focused
        self.query_one("#mark", Label).update(mark)
        self.refuse("")
        with typed.prevent(Input.Changed):
            typed.value = text
        typed.cursor_position = len(text)
        typed.suggester = SuggestFromList(suggestions, case_sensitive=False) if suggestions else None
        self.display = True
        self.screen.set_focus(typed)

    def refuse(self, problem: str) -> None:
        """Say what is wrong with the text; empty = nothing."""
        self.query_one("#problem", Label).update(problem)

    def close(self) -> None:
        """Hide it, and give the focus back."""
        self.display = False
        came_from = self._came_from
        if came_from is not None and getattr(came_from, "is_attached", False):
            self.screen.set_focus(came_from)  # type: ignore[arg-type]
        else:
            self.screen.set_focus(None)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell the screen."""
        event.stop()
        self.refuse("")
        self.post_message(self.Changed(self.kind, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Tell the screen."""
        event.stop()
        self.post_message(self.Entered(self.kind, event.value))

    def on_key(self, event: Key) -> None:
        """Esc leaves."""
        if event.key == "escape":
            event.stop()
            self.close()
            self.post_message(self.Left(self.kind))
