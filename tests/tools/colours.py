"""How far apart the colours of states are, for every theme, on terminals of 16 million, 256 and 16 colours.

Each is looked at with normal sight and as people without one kind of cone see it (Machado, Oliveira, Fernandes 2009, whole
severity). Distance is that of CIE 1976 in L*a*b*. Run: python -m tests.tools.colours
"""

import sys
from collections.abc import Iterator
from itertools import combinations

from rich.color import Color, ColorSystem

from tui.styles.themes import STATES, table_of

THEMES = ("dark", "light", "high-contrast")
SYSTEMS = {"truecolor": ColorSystem.TRUECOLOR, "256": ColorSystem.EIGHT_BIT, "standard": ColorSystem.STANDARD}
LEAST = 20.0
"""Distance that any two states must have."""
LEAST_LOUD = 28.0
"""The same between what is trouble, what runs and what is done."""
LEAST_OF_SIXTEEN = 12.0
"""What can be had of 16 colours, which are the terminal's own to choose. Shape repeats every colour."""
LOUD = ("failed", "retrying", "running", "completed")
SIGHTS = {
    "normal": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
WHITE = (0.95047, 1.0, 1.08883)
Triple = tuple[float, float, float]


def seen(colour: str, system: str) -> Triple:
    """The red, green and blue, 0 to 1, that a terminal shows for a colour."""
    shown = Color.parse(colour).downgrade(SYSTEMS[system])
    red, green, blue = shown.get_truecolor()
    return red / 255, green / 255, blue / 255


def lab(rgb: Triple, sight: str) -> Triple:
    """How a colour looks to somebody, as L*a*b*."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in rgb]
    red, green, blue = (
        min(1.0, max(0.0, sum(part * value for part, value in zip(row, linear, strict=True)))) for row in SIGHTS[sight]
    )
    xyz = (
        0.4124564 * red + 0.3575761 * green + 0.1804375 * blue,
        0.2126729 * red + 0.7151522 * green + 0.0721750 * blue,
        0.0193339 * red + 0.1191920 * green + 0.9503041 * blue,
    )
    x, y, z = (
        ratio ** (1 / 3) if ratio > 216 / 24389 else (24389 / 27 * ratio + 16) / 116
        for ratio in (value / white for value, white in zip(xyz, WHITE, strict=True))
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def distances(theme: str, system: str) -> Iterator[tuple[float, str, str, str]]:
    """Distance, sight and the two states, for every two states."""
    table = {state: seen(colour, system) for state, colour in table_of(theme, system).items() if state in STATES}
    for sight in SIGHTS:
        looks = {state: lab(rgb, sight) for state, rgb in table.items()}
        for one, other in combinations(looks, 2):
            passed = sum((a - b) ** 2 for a, b in zip(looks[one], looks[other], strict=True)) ** 0.5
            yield passed, sight, one, other


def too_near(theme: str, system: str) -> list[str]:
    """A line for every two states that are too near each other."""
    found = []
    for passed, sight, one, other in distances(theme, system):
        least = LEAST_LOUD if one in LOUD and other in LOUD else LEAST
        if system == "standard":
            least = LEAST_OF_SIXTEEN
        if passed < least:
            found.append(f"{theme}, {system}, {sight}: {one} and {other} are {passed:.1f} apart, least {least:.0f}")
    return found


def main() -> int:
    """Print the nearest of each theme and kind of terminal; 1 = some are too near."""
    has_failed = False
    for theme in THEMES:
        for system in SYSTEMS:
            near = sorted(distances(theme, system))[:3]
            words = "; ".join(f"{passed:.0f} {one}/{other} ({sight})" for passed, sight, one, other in near)
            sys.stdout.write(f"{theme:<14} {system:<10} {words}\n")
            for line in too_near(theme, system):
                has_failed = True
                sys.stdout.write(f"  {line}\n")
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
