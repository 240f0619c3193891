"""Named styles for what widgets draw line by line: made once a theme, never parsed while painting.

Modes: colours of the theme; a table of its own for 16 colours; and none (NO_COLOR, monochrome), where shape, bold and
reverse have to do. With `ascii` every glyph has a plain character.
"""

import re
from collections.abc import Mapping

import msgspec
from rich.color import Color
from rich.style import Style
from textual.dom import DOMNode

from tui.model.cells import LOOKS, Look
from tui.styles.themes import ROWS, STATES, ramps_of, table_of

FILLED = ("failed", "failed-most", "retrying")
"""Trouble is loud: these fill their cells."""
DONE, DONE_MONO = "█", "-"
RUN = re.compile(rb"(.)\1*", re.DOTALL)
"""Cells of one code beside each other."""
MONO = {
    "failed": Style(bold=True),
    "failed-filled": Style(bold=True, reverse=True),
    "retrying": Style(bold=True),
    "retrying-filled": Style(reverse=True),
    "running": Style(bold=True),
    "title": Style(bold=True),
    "key": Style(bold=True),
    "error": Style(bold=True),
    "match": Style(reverse=True),
    "match-now": Style(reverse=True, bold=True, underline=True),
    "stderr": Style(bold=True),
    "cursor": Style(reverse=True),
    "cursor-row": Style(bold=True, reverse=True),
    "muted": Style(dim=True),
    "waiting": Style(dim=True),
}
ASCII = str.maketrans(
    {
        "▸": ">", "●": "*", "◌": "o", "✕": "x", "·": ".", "↻": "~", "○": "o", "▶": ">", "█": "#", "✗": "X", "□": "_",
        "━": "=", "╸": ">", "─": "-", "│": "|", "▌": ">", "…": "~", "▲": "^", "▼": "v", "◀": "<", "–": "-", "±": "+",
        "▁": ".", "▂": ":", "▃": "-", "▄": "-", "▅": "=", "▆": "=", "▇": "+", "░": ":", "▒": "=", "▓": "+", "→": ">",
        "×": "x", "▮": "#", "▯": ".", "✓": "v", "“": '"', "”": '"', "⋯": "~", "↑": "^", "↓": "v", "▾": "v", "‖": "=",
    }
)  # fmt: skip
"""Every glyph that the UI draws, and the character for it where only ASCII can be had."""


class Palette(msgspec.Struct, frozen=True, kw_only=True):
    """Styles by name, glyphs by code, for one theme on one terminal."""

    styles: Mapping[str, Style]
    is_ascii: bool = False
    is_mono: bool = False
    cells: tuple[tuple[str, Style], ...] = ()
    """Glyph and style of each code below 64."""
    background: Style = Style()

    def style(self, name: str) -> Style:
        """The style of a name; an unknown name is plain."""
        return self.styles.get(name, self.background)

    def pieces(self, codes: bytes) -> list[tuple[str, str]]:
        """Cells of a grid as text with names of styles, a piece for each run of one code."""
        runs = (match.group() for match in RUN.finditer(codes))
        return [(self.cells[run[0]][0] * len(run), style_of(LOOKS[run[0]])) for run in runs]

    def text(self, text: str, style: str = "") -> str:
        """`text` as this terminal can show it; without colour what is completed is no block, which would be loud."""
        if not self.is_ascii:
            return text.replace(DONE, DONE_MONO) if self.is_mono and style == "completed" else text
        return text.translate(ASCII).encode("ascii", "replace").decode()


def make(
    variables: Mapping[str, str],
    *,
    colours: str,
    is_ascii: bool,
    is_mono: bool,
    has_no_color: bool = False,
    theme: str = "dark",
) -> Palette:
    """The palette of a theme and its CSS variables. `colours` is what the terminal has: truecolor, 256 or standard.

    `is_mono`: states have no colours; `has_no_color`: nothing has, and all is drawn in the terminal's own two.
    """
    table = table_of(theme, colours)
    background = Style() if has_no_color else Style(bgcolor=Color.parse(variables["background"]))

    is_loud = theme == "high-contrast" or colours == "standard"
    row = ROWS.get(theme, variables["panel"]) if colours == "256" else variables["panel"]
    ground = "black" if colours == "standard" and theme != "light" else variables["background"]
    cursor = Style(color=Color.parse(ground), bgcolor=Color.parse(variables["foreground"]), bold=True)

    def colour(name: str) -> str:
        return variables[f"state-{name}"] if colours == "truecolor" else table[name]

    if has_no_color:
        styles = dict(MONO)
    elif is_mono:
        grey = Style(color=Color.parse(variables["state-muted"]))
        background += Style(color=Color.parse(variables["foreground"]))
        styles = {**MONO, "muted": grey, "waiting": grey}
    else:
        styles = {}
        for name in ("muted", *STATES):
            styles[name] = Style(color=Color.parse(colour(name)))
            styles[f"{name}-filled"] = Style(color=Color.parse(ground), bgcolor=Color.parse(colour(name)), bold=True)
        styles["publishing"] = styles["running"]
        styles["stopping"] = styles["running"]
        styles["unselected"] = styles["waiting"]
        styles |= _ramps(theme, colours)
        styles |= {
            "title": Style(bold=True, color=Color.parse(variables["foreground"])),
            "key": Style(bold=True, color=Color.parse(variables["accent"])),
            "error": styles["failed"] + Style(bold=True),
            "match": styles["running-filled"] + Style(bold=False),
            "match-now": styles["failed-filled"],
            "stderr": styles["failed"],
            "cursor": cursor,
            "cursor-row": cursor if is_loud else Style(bgcolor=Color.parse(row), bold=True),
            "plain": Style(color=Color.parse(variables["foreground"])),
        }
    cells = []
    for look in LOOKS:
        name = style_of(look)
        glyph = look.ascii if is_ascii else look.glyph
        if is_mono and look.style == "completed" and glyph == DONE:
            glyph = DONE_MONO
        cells.append((glyph, background + styles.get(name, Style())))
    return Palette(
        styles={name: background + style for name, style in styles.items()},
        is_ascii=is_ascii,
        is_mono=is_mono,
        cells=tuple(cells),
        background=background,
    )


def style_of(look: Look) -> str:
    """The name of the style in which a code is drawn."""
    return f"{look.style.partition('-most')[0]}-filled" if look.style in FILLED else look.style


def _ramps(theme: str, colours: str) -> dict[str, Style]:
    """The styles of the lenses other than the state's."""
    return {
        f"{name}-{at}": Style(color=Color.parse(shade), bold=name == "letter")
        for name, shades in ramps_of(theme, colours).items()
        for at, shade in enumerate(shades, 1 if name == "attempt" else 0)
    }


def of(widget: DOMNode) -> Palette:
    """The palette in force where a widget is shown."""
    palette = getattr(widget.app, "palette", None)
    assert isinstance(palette, Palette), "the app has no palette"
    return palette
