"""The four themes, and what each state looks like in them; for terminals of few colours tables of their own.

The colours of states were chosen so that any two of them differ for people with each kind of colour blindness, and that each
can be read: 4.5:1 on the theme's ground and in the row under the cursor, 7:1 in high contrast. Shape always repeats colour.
"""

from collections.abc import Mapping

from rich.terminal_theme import TerminalTheme
from textual.theme import Theme

DARK = {
    "muted": "#9aa0a3",
    "waiting": "#8c9092",
    "assigned": "#c4f0ff",
    "running": "#fffd3d",
    "retrying": "#c263ff",
    "completed": "#4598c2",
    "failed": "#f06d15",
    "stopped": "#d7ad95",
}
LIGHT = {
    "muted": "#565c5f",
    "waiting": "#5c6466",
    "assigned": "#00384f",
    "running": "#7f5d00",
    "retrying": "#8316e0",
    "completed": "#36678a",
    "failed": "#600100",
    "stopped": "#101014",
}
CONTRAST = {
    "muted": "#c0c4c6",
    "waiting": "#9f9894",
    "assigned": "#d6f5ff",
    "running": "#fffe38",
    "retrying": "#cd70ff",
    "completed": "#59a6c5",
    "failed": "#fe8526",
    "stopped": "#d8b991",
}
SIXTEEN = {
    "muted": "white",
    "waiting": "white",
    "assigned": "bright_cyan",
    "running": "bright_yellow",
    "retrying": "bright_magenta",
    "completed": "bright_blue",
    "failed": "bright_red",
    "stopped": "cyan",
}
"""For terminals of 16 colours, on a dark ground."""
SIXTEEN_LIGHT = {
    "muted": "bright_black",
    "waiting": "black",
    "assigned": "blue",
    "running": "yellow",
    "retrying": "magenta",
    "completed": "bright_blue",
    "failed": "red",
    "stopped": "cyan",
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
        "muted": "#b2b2b2",
        "waiting": "#949494",
        "assigned": "#d7ffff",
        "running": "#ffff00",
        "retrying": "#d75fff",
        "completed": "#87afd7",
        "failed": "#ff5f00",
        "stopped": "#d7af87",
    },
    "light": {
        "muted": "#585858",
        "waiting": "#626262",
        "assigned": "#0000af",
        "running": "#875f00",
        "retrying": "#8700ff",
        "completed": "#005f87",
        "failed": "#5f0000",
        "stopped": "#000000",
    },
    "high-contrast": {
        "muted": "#c6c6c6",
        "waiting": "#87afaf",
        "assigned": "#d7ffff",
        "running": "#ffff00",
        "retrying": "#af87ff",
        "completed": "#87d7ff",
        "failed": "#ff8700",
        "stopped": "#d7af87",
    },
}
"""For terminals of 256 colours: all of these are among them."""
ROWS = {"light": "#eaeaea"}
"""The row under the cursor on terminals of 256 colours, where the nearest to the theme's own is too dark for what is on it."""
STATES = ("waiting", "assigned", "running", "retrying", "completed", "failed", "stopped")
BY_THEME = {"dark": DARK, "light": LIGHT, "high-contrast": CONTRAST}


def table_of(theme: str, colours: str) -> Mapping[str, str]:
    """The colour of each state in a theme, on a terminal of `truecolor`, `256` or `standard` (16) colours."""
    if colours == "standard":
        return SIXTEEN_LIGHT if theme == "light" else SIXTEEN
    if colours == "256":
        return EIGHT_BIT.get(theme, BY_THEME.get(theme, DARK))
    return BY_THEME.get(theme, DARK)


RAMPS = {
    "dark": {
        "attempt": ("#4598c2", "#8d82de", "#a575ec", "#c263ff", "#e08bff"),
        "duration": ("#4f93c5", "#6fb3c9", "#e0b23c", "#f06d15"),
        "letter": ("#4fb0d8", "#e0a03c", "#7fc46b", "#d47bd0", "#c9c04f", "#e58474"),
    },
    "light": {
        "attempt": ("#36678a", "#5b4fb4", "#6a3fc8", "#8316e0", "#8b008b"),
        "duration": ("#2c6591", "#176c7a", "#7f5d00", "#911700"),
        "letter": ("#00618a", "#8a5200", "#2f6b1e", "#8a2f86", "#5f5900", "#a02c1a"),
    },
    "high-contrast": {
        "attempt": ("#59a6c5", "#a79bea", "#bb8ff5", "#d67fff", "#eaa8ff"),
        "duration": ("#7fb0d8", "#8fd0e2", "#f0c04a", "#fe8526"),
        "letter": ("#7cc8ea", "#f0b34f", "#9bdc86", "#e79be3", "#e0d768", "#ff9d8c"),
    },
}
"""What the other lenses, and the tags of the logs of all, are drawn in: by attempts, by duration, by node or failure group."""
RAMPS_OF_SIXTEEN = {
    "dark": {
        "attempt": ("cyan", "bright_cyan", "bright_magenta", "bright_red", "bright_white"),
        "duration": ("cyan", "bright_cyan", "bright_yellow", "bright_red"),
        "letter": ("cyan", "bright_white", "green", "bright_magenta", "bright_yellow", "bright_red"),
    },
    "light": {
        "attempt": ("bright_blue", "blue", "magenta", "red", "black"),
        "duration": ("bright_blue", "blue", "yellow", "red"),
        "letter": ("bright_blue", "yellow", "blue", "magenta", "bright_black", "red"),
    },
}


def ramps_of(theme: str, colours: str) -> Mapping[str, tuple[str, ...]]:
    """The colours of the other lenses in a theme; of 256 the nearest are taken."""
    if colours == "standard":
        return RAMPS_OF_SIXTEEN["light" if theme == "light" else "dark"]
    return RAMPS.get(theme, RAMPS["dark"])


THEMES = (
    Theme(
        name="dark",
        primary="#4fb0d8",
        secondary="#988f7b",
        warning="#fffd3b",
        error="#f06d15",
        success="#4598c2",
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
        warning="#7f5d00",
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
        error="#fe8526",
        success="#59a6c5",
        accent="#ffffff",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#1a1a1a",
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
        variables={**{f"state-{name}": "#d0d0d0" for name in DARK}, "state-muted": "#a0a0a0"},
    ),
)
NAMES = tuple(theme.name for theme in THEMES)
