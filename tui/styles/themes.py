"""The four themes, and what each state looks like in them; for terminals of few colours tables of their own.

The colours of states were chosen so that any two of them differ for people with each kind of colour blindness, and shape
always repeats colour.
"""

from collections.abc import Mapping

from rich.terminal_theme import TerminalTheme
from textual.theme import Theme

DARK = {
    "muted": "#8b9093",
    "waiting": "#5b6569",
    "assigned": "#c4f0ff",
    "running": "#fffd3b",
    "retrying": "#bb33ff",
    "completed": "#0679a3",
    "failed": "#ef6400",
    "stopped": "#99907c",
}
LIGHT = {
    "muted": "#6b7073",
    "waiting": "#8b8f91",
    "assigned": "#379cc0",
    "running": "#a88d12",
    "retrying": "#8e00d1",
    "completed": "#004f6e",
    "failed": "#911700",
    "stopped": "#665b48",
}
CONTRAST = {
    "muted": "#c0c4c6",
    "waiting": "#737c7d",
    "assigned": "#d6f5ff",
    "running": "#fffe39",
    "retrying": "#cd6aff",
    "completed": "#5098b9",
    "failed": "#fd7817",
    "stopped": "#b5ac97",
}
SIXTEEN = {
    "muted": "white",
    "waiting": "bright_black",
    "assigned": "bright_cyan",
    "running": "bright_yellow",
    "retrying": "bright_magenta",
    "completed": "bright_blue",
    "failed": "bright_red",
    "stopped": "white",
}
"""For terminals of 16 colours, on a dark ground."""
SIXTEEN_LIGHT = {
    "muted": "bright_black",
    "waiting": "white",
    "assigned": "cyan",
    "running": "yellow",
    "retrying": "magenta",
    "completed": "bright_blue",
    "failed": "red",
    "stopped": "black",
}
"""The same on a light ground."""
AS_NAMED = TerminalTheme(
    (0, 0, 0),
    (170, 170, 170),
    [(0, 0, 0), (170, 0, 0), (0, 170, 0), (170, 85, 0), (0, 0, 170), (170, 0, 170), (0, 170, 170), (170, 170, 170)],
    [
        (85, 85, 85),
        (255, 85, 85),
        (85, 255, 85),
        (255, 255, 85),
        (85, 85, 255),
        (255, 85, 255),
        (85, 255, 255),
        (255, 255, 255),
    ],
)
"""What Textual, which turns the 16 into 16 million, must take them for so that a terminal of 16 gets back the same ones: in
its own theme red and magenta are one colour, so that what failed and what is tried again looked alike."""
EIGHT_BIT = {
    "dark": {
        "muted": "#949494",
        "waiting": "#6c6c6c",
        "assigned": "#d7ffff",
        "running": "#ffff00",
        "retrying": "#af00ff",
        "completed": "#0087af",
        "failed": "#ff5f00",
        "stopped": "#b2b2b2",
    },
    "light": {
        "muted": "#6c6c6c",
        "waiting": "#9e9e9e",
        "assigned": "#262626",
        "running": "#af8700",
        "retrying": "#8700d7",
        "completed": "#005f87",
        "failed": "#870000",
        "stopped": "#585858",
    },
    "high-contrast": {
        "muted": "#c6c6c6",
        "waiting": "#8a8a8a",
        "assigned": "#d7ffff",
        "running": "#ffff00",
        "retrying": "#af5fff",
        "completed": "#00afd7",
        "failed": "#d75f00",
        "stopped": "#d7af87",
    },
}
"""For terminals of 256 colours: all of these are among them."""
STATES = ("waiting", "assigned", "running", "retrying", "completed", "failed", "stopped")
BY_THEME = {"dark": DARK, "light": LIGHT, "high-contrast": CONTRAST}


def table_of(theme: str, colours: str) -> Mapping[str, str]:
    """The colour of each state in a theme, on a terminal of `truecolor`, `256` or `standard` (16) colours."""
    if colours == "standard":
        return SIXTEEN_LIGHT if theme == "light" else SIXTEEN
    if colours == "256":
        return EIGHT_BIT.get(theme, BY_THEME.get(theme, DARK))
    return BY_THEME.get(theme, DARK)


ATTEMPT_RAMP = ("completed", "#7f6fd0", "#9a5ee6", "#bb33ff", "#e08bff")
LETTER_COLOURS = ("#4fb0d8", "#e0a03c", "#7fc46b", "#d47bd0", "#c9c04f", "#e07a6a")
DURATION_RAMP = ("#3f7fae", "#6fb3c9", "#e0b23c", "#ef6400")

THEMES = (
    Theme(
        name="dark",
        primary="#4fb0d8",
        secondary="#988f7b",
        warning="#fffd3b",
        error="#ef6400",
        success="#0679a3",
        accent="#c4f0ff",
        foreground="#d8dadb",
        background="#121212",
        surface="#1b1d1e",
        panel="#26292b",
        dark=True,
        variables={f"state-{name}": colour for name, colour in DARK.items()},
    ),
    Theme(
        name="light",
        primary="#00618a",
        secondary="#6e6552",
        warning="#a88d12",
        error="#911700",
        success="#004f6e",
        accent="#00618a",
        foreground="#1b1d1e",
        background="#fbfaf7",
        surface="#f1efe9",
        panel="#e2dfd6",
        dark=False,
        variables={f"state-{name}": colour for name, colour in LIGHT.items()},
    ),
    Theme(
        name="high-contrast",
        primary="#7fd6ff",
        secondary="#ffffff",
        warning="#fffd3b",
        error="#fd7817",
        success="#5098b9",
        accent="#ffffff",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#262626",
        dark=True,
        variables={f"state-{name}": colour for name, colour in CONTRAST.items()},
    ),
    Theme(
        name="monochrome",
        primary="#d0d0d0",
        secondary="#a0a0a0",
        warning="#ffffff",
        error="#ffffff",
        success="#d0d0d0",
        accent="#ffffff",
        foreground="#d0d0d0",
        background="#101010",
        surface="#181818",
        panel="#282828",
        dark=True,
        variables={f"state-{name}": "#d0d0d0" for name in DARK},
    ),
)
NAMES = tuple(theme.name for theme in THEMES)
