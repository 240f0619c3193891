import io

import pytest

from tests.helpers.fake_api import EVIL
from tui.cli.output import Output, clipped, fitted
from tui.cli.printable import age, counted, moment, printable
from tui.model.moments import bytes_text

ROWS = [("j-1", "a" * 60, "Failed"), ("j-2", "短い名前", "Completed")]


def table(*, is_terminal: bool, width: int = 0) -> list[str]:
    stream = io.StringIO()
    Output(stream, is_terminal=is_terminal, width=width).table(("ID", "Name", "State"), ROWS)
    return stream.getvalue().splitlines()


def test_off_a_terminal_nothing_is_cut_or_coloured() -> None:
    lines = table(is_terminal=False, width=20)
    assert "a" * 60 in lines[1]
    assert "\x1b" not in "".join(lines)
    assert lines[0].split() == ["ID", "NAME", "STATE"]


def test_on_a_terminal_the_widest_column_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    lines = table(is_terminal=True, width=40)
    assert max(map(len, lines)) <= 40
    assert "…" in lines[1]
    assert lines[2].endswith("Completed")


def test_columns_are_as_wide_as_what_a_terminal_shows() -> None:
    lines = table(is_terminal=False)
    assert lines[1].index("Failed") == lines[2].index("Completed") + len("短い名前")


@pytest.mark.parametrize(
    ("widths", "room", "fit"),
    [
        ([3, 60, 9], 30, [3, 18, 9]),
        ([5, 5], 100, [5, 5]),
        ([50, 50], 40, [20, 20]),
        ([9, 9, 9], 10, [8, 8, 8]),
    ],
)
def test_columns_fit_the_room(widths: list[int], room: int, fit: list[int]) -> None:
    assert fitted(widths, room) == fit


def test_text_from_outside_is_never_a_control_sequence() -> None:
    assert printable(EVIL) == "x [/y] [@click=app.quit]z\\x1b[31m"
    assert printable("a\nb\tc\x9b\u202e\udc80") == "a\\nb\\tc\\x9b\\u202e\\udc80"
    stream = io.StringIO()
    output = Output(stream, is_terminal=True, width=200)
    output.table(("Name",), [(EVIL,)])
    output.fields({"Name": EVIL})
    output.csv(("Name",), [(EVIL,)])
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().count("[@click=app.quit]") == 3


def test_cut_text_ends_with_an_ellipsis() -> None:
    assert clipped("abcdef", 4) == "abc…"
    assert clipped("abc", 4) == "abc"
    assert clipped("短い名前", 5) == "短い…"


def test_amounts_and_times_read_well() -> None:
    assert [bytes_text(n) for n in (0, 999, 4_100_000_000)] == ["0 B", "999 B", "4.1 GB"]
    assert [counted(n, "node") for n in (0, 1, 2)] == ["0 nodes", "1 node", "2 nodes"]
    assert moment(1_792_000_000_000_000_060) == "2026-10-14T17:46:40.000000Z"
    assert moment(0) == ""


def test_ages_are_told_of_times_that_can_be_read() -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 10, 14, 17, 46, 50, tzinfo=UTC)
    assert age("2026-10-14T17:46:40.123456789Z", now) == "9s ago"
    assert age("2026-10-14T15:46:40+00:00", now) == "2h00m ago"
    assert age("soon", now) == "soon"
