"""Lines that are put together: what goes when there is no room, what always stays."""

import pytest
from rich.cells import cell_len

from tui.model.link import Link
from tui.widgets.header_line import line_one
from tui.widgets.lines import width_of
from tui.widgets.stacked_bar import bar, counts
from tui.widgets.table import fitted

SUMMARY = {"Completed": 56_672, "Running": 1_892, "Assigned": 2_623, "Retrying": 30, "Failed": 226, "Waiting": 38_557}
LINK = ("● offline 00:41, retry in 4 s (R now)", "error")


def text_of(pieces: list[tuple[str, str]]) -> str:
    return "".join(text for text, _ in pieces)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_line_one_never_drops_the_link(width: int) -> None:
    can = [
        (1, ("  rtt 3 ms", "muted")),
        (4, ("  12 nodes ok", "muted")),
        (3, ("  ops", "muted")),
        (2, ("  12:09:51Z", "muted")),
    ]
    line = line_one(("prod", "jobs", "nightly-etl", "48213"), [LINK, ("  ro", "running")], can, width)
    assert width_of(line) == width
    assert LINK[0] in text_of(line)
    assert "ro" in text_of(line)


def test_line_one_drops_the_round_trip_first_then_the_clock() -> None:
    can = [(1, ("  rtt 3 ms", "muted")), (2, ("  12:09:51Z", "muted")), (3, ("  ops", "muted"))]
    texts = [text_of(line_one(("prod", "jobs"), [("● live", "")], can, width)) for width in (46, 40, 32, 22)]
    assert ["rtt" in text for text in texts] == [True, False, False, False]
    assert ["Z" in text for text in texts] == [True, True, False, False]
    assert ["ops" in text for text in texts] == [True, True, True, False]


@pytest.mark.parametrize("width", [1, 5, 9, 40, 118])
def test_the_bar_has_exactly_its_width_and_trouble_is_always_in_it(width: int) -> None:
    shown = text_of(bar(SUMMARY, width))
    assert cell_len(shown) == width
    if width >= 9:
        assert "✗" in shown
        assert "↻" in shown


def test_counts_lose_their_words_before_their_numbers() -> None:
    assert "completed 56,672" in text_of(counts(SUMMARY, 120))
    narrow = text_of(counts(SUMMARY, 80))
    assert "completed" not in narrow
    assert "✗ 226" in narrow
    alike = {"Running": 20, "Publishing": 22, "Completed": 1, "Stopped": 3}
    assert text_of(counts(alike, 40)) == " 2.2%  █ 1  ▶ 42  □ 3"
    assert text_of(counts({"Completed": 99_999, "Failed": 1}, 80)).startswith(" 99.9%")


@pytest.mark.parametrize("width", [0, 1, 3, 12])
def test_cells_of_a_table_have_exactly_their_width(width: int) -> None:
    for cell in ("日本語日本語", [("ab", "x"), ("[/y]\x1b", "y")], lambda room: [("━" * room, "z")]):
        assert width_of(fitted(cell, width)) == width


def test_a_link_is_stale_after_silence_and_says_how_long_it_was_away() -> None:
    link = Link()
    assert link.text(0) == "connecting"
    link.heard(1)
    assert link.text(2) == "live"
    assert link.text(20).startswith("stale 19s")
    link.lost(21, "gone", 4)
    assert link.text(62) == "offline 00:41, retry in 1 s (R now)"
    link.heard(63, 18_204)
    assert link.text(64) == "resumed +18,204 events"
    assert link.text(70) == "live"
    link.refused("no token")
    assert link.text(71) == "refused (R again)"
