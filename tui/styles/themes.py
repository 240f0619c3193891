"""The four themes, and what each state looks like in them; for terminals of few colours tables of their own.

The colours of states were chosen so that any two of them differ for people with each kind of colour blindness, and shape
always repeats colour.
"""

from textual.theme import Theme

DARK = {
    "muted": "#8b9093",
    "waiting": "#6a6d6e",
    "assigned": "#c4f0ff",
    "running": "#fffd3b",
    "retrying": "#bb33ff",
    "completed": "#0679a3",
    "failed": "#ef6400",
    "stopped": "#988f7b",
}
LIGHT = {
    "muted": "#6b7073",
    "waiting": "#8a8d8e",
    "assigned": "#3d9fc2",
    "running": "#8f7a00",
    "retrying": "#8e00d1",
    "completed": "#004f6e",
    "failed": "#c84600",
    "stopped": "#6e6552",
}
CONTRAST = {
    "muted": "#c0c4c6",
    "waiting": "#8a8d8e",
    "assigned": "#d6f5ff",
    "running": "#fffd3b",
    "retrying": "#cf6bff",
    "completed": "#1b9fd1",
    "failed": "#ff7a1a",
    "stopped": "#b5ab95",
}
SIXTEEN = {
    "muted": "white",
    "waiting": "bright_black",
    "assigned": "bright_cyan",
    "running": "bright_yellow",
    "retrying": "magenta",
    "completed": "blue",
    "failed": "bright_red",
    "stopped": "white",
}
"""For terminals of 16 colours."""
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
        warning="#8f7a00",
        error="#c84600",
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
        error="#ff7a1a",
        success="#1b9fd1",
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
