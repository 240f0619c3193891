"""Marks and styles of a palette."""

import pytest

from tui.styles.themes import THEMES
from tui.widgets.lines import strip_of
from tui.widgets.palette import make
from tui.widgets.stacked_bar import counts


@pytest.mark.parametrize(("is_mono", "is_ascii", "mark"), [(False, False, "█"), (True, False, "-"), (True, True, "#")])
def test_what_is_completed_has_one_mark_in_the_grid_and_beside_it(*, is_mono: bool, is_ascii: bool, mark: str) -> None:
    variables = {**THEMES[0].variables, "background": "#000000", "foreground": "#ffffff", "accent": "#00ffff"}
    palette = make({**variables, "panel": "#222222"}, colours="truecolor", is_ascii=is_ascii, is_mono=is_mono)
    assert f" {mark} completed 3" in strip_of(counts({"Completed": 3}, 60), 60, palette).text
    assert mark in {glyph for glyph, _ in palette.cells}
    assert is_ascii or is_mono == ("█" not in palette.text("█", "completed"))
    assert palette.text("▇█", "retrying") == ("+#" if is_ascii else "▇█")
