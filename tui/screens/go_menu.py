"""The menu behind `g`: one more key, and we are there."""

from textual.app import ComposeResult

from tui.bindings import KEYS, bindings, shown
from tui.places import Focus, is_open_to
from tui.screens.modal import Modal
from tui.widgets.lines import Lines


class GoMenu(Modal[str], inherit_bindings=False):
    """Gives the id of a place, `jobs`, `top`, or an empty text."""

    BINDINGS = bindings("go")
    DEFAULT_CSS = """
    GoMenu { align: left bottom; background: transparent; }
    GoMenu #go { height: 1; margin: 0 0 1 0; }
    """

    def __init__(self, focus: Focus) -> None:
        super().__init__()
        self._at = focus

    def compose(self) -> ComposeResult:
        """One line."""
        yield Lines(id="go")

    def on_mount(self) -> None:
        """Say what can be reached."""
        line = [(" go to  ", "title")]
        for key in KEYS:
            place = key.action.partition("'")[2].rstrip("')")
            if key.context == "go" and place and self._is_there(place):
                line += [(shown(key.keys), "key"), (f" {key.label}  ", "muted")]
        self.query_one(Lines).show([line])

    def _is_there(self, place: str) -> bool:
        return place in ("jobs", "top") or is_open_to(place, self._at)

    def action_choose(self, place: str) -> None:
        """Go there; what is not there closes the menu."""
        _ = self.dismiss(place if place and self._is_there(place) else "")
