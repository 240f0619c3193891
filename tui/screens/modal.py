"""What lies over a page: the last line has its keys, not those of the page below, which do nothing meanwhile."""

from typing import TypeVar

from textual.screen import ModalScreen

from tui.widgets.key_footer import KeyFooter

T = TypeVar("T")


class Modal(ModalScreen[T], inherit_bindings=False):
    """Gives a T when it is closed."""

    def on_mount(self) -> None:
        """Cover the footer of the page."""
        _ = self.mount(KeyFooter())
