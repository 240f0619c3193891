"""States differ for people with every kind of colour blindness, in every theme, on every kind of terminal."""

import pytest

from tests.tools.colours import LEAST, SYSTEMS, THEMES, distances, too_near
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
