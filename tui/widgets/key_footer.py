"""The last line: the keys that are used most here, as many as fit whole, and help at the right edge."""

from textual.binding import Binding
from textual.dom import DOMNode
from textual.events import Click
from textual.screen import Screen
from textual.widgets import Input

from tui.bindings import BY_ID, shown
from tui.widgets.lines import Lines, Piece, width_of


class KeyFooter(Lines):
    """Made from the bindings that are active now, so that it never promises a key that does nothing."""

    def __init__(self) -> None:
        super().__init__(id="footer")
        self._places: list[tuple[int, int, DOMNode, str]] = []

    def on_mount(self) -> None:
        """Follow the bindings of the screen."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.update_keys())
        self.call_after_refresh(self.update_keys)

    def on_resize(self) -> None:
        """Another width holds other keys."""
        self.update_keys()

    def update_keys(self) -> None:
        """Look at the bindings again."""
        if not self.is_attached or self.app.screen is not self.screen:
            return
        entries = active_keys(self.screen)
        width = self.size.width
        tail: list[Piece] = []
        for _, binding, enabled in entries:
            if binding.id == "app.help":
                tail = [(shown(binding.key), "key" if enabled else "muted"), (" help ", "muted")]
        room = width - width_of(tail) - 1
        pieces: list[Piece] = [(" ", "")]
        self._places = []
        for node, binding, enabled in entries:
            label = BY_ID[binding.id or ""].label
            piece: list[Piece] = [(shown(binding.key), "key" if enabled else "muted"), (f" {label}  ", "muted")]
            if binding.id == "app.help" or width_of(pieces) + width_of(piece) > room:
                continue
            start = width_of(pieces)
            pieces += piece
            self._places.append((start, width_of(pieces), node, binding.action))
        gap = max(0, width - width_of(pieces) - width_of(tail))
        self._places.append((width - width_of(tail), width, self.screen, "app.help"))
        self.show([[*pieces, (" " * gap, ""), *tail]])

    async def on_click(self, event: Click) -> None:
        """A key in the footer is a button."""
        for start, end, node, action in self._places:
            if start <= event.x < end:
                await self.app.run_action(action, node)
                return


def active_keys(screen: Screen[object]) -> list[tuple[DOMNode, Binding, bool]]:
    """Bindings of ours that are active and have a place in the footer, most used first, each once: whose, which, if enabled.

    Where one types, a key that is a letter is text: Textual sees that of all but `+` and `-`.
    """
    is_typing = isinstance(screen.focused, Input)
    found: dict[str, tuple[DOMNode, Binding, bool]] = {}
    for active in screen.active_bindings.values():
        name = active.binding.id or ""
        if is_typing and len(shown(active.binding.key)) == 1:
            continue
        if name in BY_ID and BY_ID[name].order and name not in found:
            found[name] = (active.node, active.binding, active.enabled)
    return sorted(found.values(), key=lambda entry: BY_ID[entry[1].id or ""].order)
