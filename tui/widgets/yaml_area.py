"""An editor of YAML whose text may be anybody's: what a terminal would obey, or turn around, is drawn as a dot."""

from rich.text import Text
from textual.events import Key
from textual.widgets import TextArea

from tui.model.text import RIGHT_TO_LEFT, UNSAFE
from tui.widgets import palette as palettes


class YamlArea(TextArea):
    """The text itself stays as it is."""

    DEFAULT_CSS = """
    YamlArea, YamlArea:focus { border: none; padding: 0; }
    """

    def on_key(self, event: Key) -> None:
        """The first esc leaves the editor, as in others; where nothing else can have the focus, Textual's would stay in it."""
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            self.screen.set_focus(None)

    def get_line(self, line_index: int) -> Text:
        """A line as it is drawn: every odd character is one cell, so that the cursor stays true."""
        line = super().get_line(line_index)
        plain = RIGHT_TO_LEFT.sub("·", UNSAFE.sub("·", line.plain.replace("\t", " ")))
        if palettes.of(self).is_ascii:
            plain = "".join(letter if letter.isascii() else "?" for letter in plain)
        line.plain = plain
        return line
