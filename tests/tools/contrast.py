"""How well text can be read: the ratio of WCAG 2 between a colour and what is behind it, as a kind of terminal shows them."""

from rich.color import Color, ColorSystem
from rich.style import Style

from tests.tools.colours import seen
from tui.styles.themes import AS_NAMED, THEMES
from tui.widgets import palette
from tui.widgets.palette import Palette

LEAST = {"dark": 4.5, "light": 4.5, "high-contrast": 7.0}
OF_SIXTEEN = {("dark", "completed"): 4.1, ("high-contrast", "completed"): 4.1, ("light", "stopped"): 2.8}
"""Of 16 colours, which are the terminal's own to choose, there are too few for seven that differ, and can all be read so well."""
LENSES = ("attempt", "duration")
"""Styles of cells, which never stand in a row that the cursor can be in."""
FEW = 4.5
"""Of so few, none can be asked for more than this."""


def ratio(colour: str, ground: str, system: str = "truecolor") -> float:
    """1 = the same, 21 = black on white."""
    dark, bright = sorted((luminance(colour, system), luminance(ground, system)))
    return (bright + 0.05) / (dark + 0.05)


def luminance(colour: str, system: str) -> float:
    """How bright a colour is, 0 to 1."""
    rgb = seen(colour, system)
    if system == "standard":
        shown = Color.parse(colour).downgrade(ColorSystem.STANDARD).get_truecolor(AS_NAMED)
        rgb = (shown.red / 255, shown.green / 255, shown.blue / 255)
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def variables_of(name: str) -> dict[str, str]:
    """What a palette takes of a theme."""
    theme = next(theme for theme in THEMES if theme.name == name)
    own = {word: str(getattr(theme, word)) for word in ("background", "foreground", "accent", "panel")}
    return {**theme.variables, **own}


def palette_of(theme: str, system: str) -> Palette:
    """The palette of a theme on a kind of terminal."""
    return palette.make(variables_of(theme), colours=system, is_ascii=False, is_mono=False, theme=theme)


def name_of(style: Style, part: str) -> str:
    """A colour of a style as a word that can be parsed."""
    colour = getattr(style, part)
    assert colour is not None, (style, part)
    return str(colour.name)


def unreadable(theme: str, system: str) -> list[str]:
    """A line for every style, and every style in the row under the cursor, that cannot be read well enough."""
    found = []
    styles = palette_of(theme, system).styles
    for name, style in styles.items():
        if name == "cursor-row" and style.color is None:
            continue
        least = LEAST[theme] if system != "standard" else OF_SIXTEEN.get((theme, name.split("-")[0]), FEW)
        for place, shown in (("alone", style), ("in the row", style + styles["cursor-row"])):
            if place == "in the row" and (style.bgcolor != styles["plain"].bgcolor or name.startswith(LENSES)):
                continue
            got = ratio(name_of(shown, "color"), name_of(shown, "bgcolor"), system)
            if got < least:
                found.append(f"{theme}, {system}: {name} {place} {got:.2f}, least {least}")
    return found
