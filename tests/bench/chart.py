"""Charts of a few points each, as SVG text: logarithmic to the right, from zero upwards, every point with its figure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

import msgspec

WIDTH, HEIGHT, MARGIN = 340, 200, 44
LINE, TEXT, GRID = "#2a7ab0", "#333", "#ccc"


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One chart: y by x."""

    title: str
    unit: str
    points: Mapping[int, float]


def draw(title: str, panels: Sequence[Panel], note: str) -> str:
    """The panels side by side, with a title above and a note below."""
    width, height = WIDTH * len(panels), HEIGHT + 2 * MARGIN
    style = f'font-family="sans-serif" font-size="12" fill="{TEXT}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {style}>',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{width / 2}" y="20" text-anchor="middle" font-size="15">{escape(title)}</text>',
        f'<text x="{width / 2}" y="{height - 10}" text-anchor="middle">{escape(note)}</text>',
    ]
    for at, panel in enumerate(panels):
        lines += [f'<g transform="translate({at * WIDTH} {MARGIN})">', *drawn(panel), "</g>"]
    return "\n".join([*lines, "</svg>", ""])


def drawn(panel: Panel) -> Iterator[str]:
    """One panel, its corner at 0 0."""
    top = 1.5 * max(panel.points.values())
    least, most = math.log10(min(panel.points)), math.log10(max(panel.points))
    left, right, floor = MARGIN, WIDTH - MARGIN, HEIGHT - MARGIN
    places = {
        x: (left + (right - left) * (math.log10(x) - least) / (most - least), floor - (floor - 20) * y / top)
        for x, y in panel.points.items()
    }
    yield f'<text x="{WIDTH / 2}" y="10" text-anchor="middle">{escape(panel.title)}</text>'
    yield f'<path d="M{left} 20V{floor}H{right}" fill="none" stroke="{GRID}"/>'
    yield f'<text x="{left}" y="{floor + 34}" fill="#777">{escape(panel.unit)}, from 0</text>'
    path = " ".join(f"{x:.0f},{y:.0f}" for x, y in places.values())
    yield f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="2"/>'
    for x, (across, down) in places.items():
        yield f'<circle cx="{across:.0f}" cy="{down:.0f}" r="4" fill="{LINE}"/>'
        yield f'<text x="{across:.0f}" y="{down - 9:.0f}" text-anchor="middle">{panel.points[x]:.2f}</text>'
        yield f'<text x="{across:.0f}" y="{floor + 16}" text-anchor="middle">{x:,}</text>'
