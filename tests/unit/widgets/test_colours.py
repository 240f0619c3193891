"""States differ for people with every kind of colour blindness, in every theme, on every kind of terminal."""

from pathlib import Path

import pytest
from rich.color import Color, ColorSystem
from rich.style import Style
from textual.filter import ANSIToTruecolor

from tests.tools.colours import LEAST, SYSTEMS, THEMES, distances, too_near
from tui.app import ShoalApp
from tui.options import Options
from tui.settings import Settings
from tui.styles import themes


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("theme", THEMES)
def test_any_two_states_differ_for_everybody(theme: str, system: str) -> None:
    assert too_near(theme, system) == []


def test_colours_that_only_differ_in_red_and_green_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    classic = {**themes.DARK, "failed": "#cc3333", "completed": "#5f8f33"}
    monkeypatch.setitem(themes.BY_THEME, "dark", classic)
    assert any("failed" in line and "completed" in line for line in too_near("dark", "truecolor"))
    assert min(distances("dark", "truecolor"))[0] < LEAST


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_a_terminal_of_sixteen_colours_gets_the_ones_that_were_chosen(
    theme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLORTERM", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-16color")
    app = ShoalApp(Options(settings=Settings(url="http://127.0.0.1:9", home=tmp_path), theme=theme))
    assert app.palette.style("failed").color == Color.parse(themes.table_of(theme, "standard")["failed"])
    for name, chosen in themes.table_of(theme, "standard").items():
        colour = Color.parse(chosen)
        sent = ANSIToTruecolor(app.ansi_theme).truecolor_style(Style(color=colour), Color.parse("black")).color
        assert sent is not None
        assert sent.downgrade(ColorSystem.STANDARD).number == colour.number, name
