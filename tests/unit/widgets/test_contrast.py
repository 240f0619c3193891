"""What is written can be read: in every theme, on every kind of terminal, in the row under the cursor and in fields, too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.terminal import app_for, shows, strips
from tests.snapshot.tui.test_tool_screens import rich_cluster
from tests.tools.colours import SYSTEMS, THEMES
from tests.tools.contrast import LEAST, name_of, palette_of, ratio, unreadable
from tui.app import ShoalApp
from tui.styles import themes

FIELDS = {
    "form": (("c",), "partitions"),
    "yaml": (("c", "f2"), "Name: hello"),
    "command bar": (("colon", *"jo"), "jo"),
    "unknown command": (("colon", *"zzz", "enter"), "no such command"),
    "palette": (("ctrl+p",), "Search commands"),
    "retry": (("enter", "r"), "include completed"),
}
LINES = set("▔▁▂▃▄▅▆▇█▊▎─│╭╮╰╯▌")


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("theme", THEMES)
def test_every_style_of_a_palette_can_be_read(theme: str, system: str) -> None:
    assert unreadable(theme, system) == []


def test_a_colour_too_near_its_ground_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(themes.EIGHT_BIT["dark"], "waiting", "#6c6c6c")
    assert any("waiting" in line for line in unreadable("dark", "256"))


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("theme", THEMES)
def test_the_row_under_the_cursor_and_the_cursor_are_seen(theme: str, system: str) -> None:
    styles = palette_of(theme, system).styles
    ground = name_of(styles["plain"], "bgcolor")
    assert ratio(name_of(styles["cursor-row"], "bgcolor"), ground, system) >= 1.15
    assert ratio(name_of(styles["cursor"], "bgcolor"), ground, system) >= 7


@pytest.mark.parametrize("theme", [theme.name for theme in themes.THEMES])
@pytest.mark.parametrize("name", FIELDS)
async def test_what_stands_in_a_field_can_be_read(theme: str, name: str, tmp_path: Path) -> None:
    app = app_for(rich_cluster(), theme=theme, home=tmp_path)
    keys, sign = FIELDS[name]
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "fish")
        await pilot.press(*keys)
        await shows(pilot, sign)
        found = {line for line, got in written(app) if got < LEAST.get(theme, 4.5)}
    assert not found


@pytest.mark.parametrize("theme", [theme.name for theme in themes.THEMES])
async def test_the_line_under_the_cursor_of_a_log_is_seen(theme: str, tmp_path: Path) -> None:
    app = app_for(rich_cluster(), theme=theme, home=tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "fish")
        await pilot.press("enter", "l")
        await shows(pilot, "2 lines")
        await shows(pilot, "err")
        here = next(strip for strip in strips(app) if strip.text.strip() == "err")
        assert here.cell_length == 120
        plain = next(strip for strip in strips(app) if not strip.text.strip())
        ground = plain._segments[0].style
    for segment in here:
        assert segment.style is not None
        assert ground is not None
        back = name_of(segment.style, "color" if segment.style.reverse else "bgcolor")
        assert ratio(back, name_of(ground, "bgcolor")) >= 1.15


def written(app: ShoalApp) -> Iterator[tuple[str, float]]:
    """What is written on the screen, each with how well it can be read; under a dialog nothing is to be."""
    shown = [child.region for child in app.screen.children if child.display]
    for y, strip in enumerate(strips(app)):
        x = 0
        for segment in strip:
            at, style = (x, y), segment.style
            x += segment.cell_length
            if not set(segment.text.strip()) - LINES or not any(region.contains(*at) for region in shown):
                continue
            assert style is not None, segment
            colour, ground = name_of(style, "color"), name_of(style, "bgcolor")
            if style.reverse:
                colour, ground = ground, colour
            yield f"{segment.text.strip()}: {colour} on {ground}", ratio(colour, ground)
