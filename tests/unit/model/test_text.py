"""Text from outside: nothing is obeyed, nothing shifts."""

import pytest
from rich.cells import cell_len

from tui.model.text import clean, clip, fit, middle

HOSTILE = "x [/y] [@click=app.quit]z \x1b[31mred\x07 日本語 e\u0301 שלום\u202eabc\n"


def test_what_a_terminal_would_obey_is_written_out() -> None:
    shown = clean(HOSTILE)
    assert shown.startswith("x [/y] [@click=app.quit]z \\x1b[31mred\\x07 日本語 e\u0301 \\u05e9")
    assert not set(shown) & {"\x1b", "\x07", "\n", "\u202e"}


@pytest.mark.parametrize("width", [0, 1, 2, 5, 9, 20, 31, 60, 200])
def test_text_fits_its_cells_exactly(width: int) -> None:
    for text in (HOSTILE, "日本語日本語日本語", "e\u0301" * 40, "", "plain"):
        assert cell_len(clip(text, width)) <= width
        assert cell_len(fit(text, width)) == width
        assert cell_len(fit(text, width, right=True)) == width
        assert cell_len(middle(text, width)) <= width


def test_a_name_is_cut_in_the_middle_so_that_its_end_tells_it_apart() -> None:
    assert middle("job-of-the-long-name-2026-11-24", 16) == "job-of-…26-11-24"


def test_what_was_cut_before_is_not_marked_as_cut_twice() -> None:
    assert clip("a bad da… now", 9) == "a bad da…"
    assert clip("abcdef", 4) == "abc…"
