"""Two logs: what only differs in numbers, ids and times is the same; stretches that are equal are left out."""

from tui.model.diff import Change, compare, nearest_completed, normal


def test_numbers_ids_and_times_make_no_difference() -> None:
    left = "2026-01-01T10:00:00Z row 17 of e-0123456789abcdef at 0x7fff"
    right = "2027-02-03T11:22:33Z row 18,204 of e-fedcba9876543210 at 0x1234"
    assert normal("row 17") == normal("row 99")
    assert [change.kind for change in compare([left], [right.replace(",", "")])] == ["="]


def test_what_differs_stands_beside_each_other_and_the_rest_says_where_it_is() -> None:
    same = [f"{letter} line" for letter in "abcdefghij"]
    changes = compare([*same, "done"], [*same, "Traceback", "ValueError"])
    assert changes[0] == Change(".", "7 equal lines", "")
    assert [change.kind for change in changes[1:]] == ["=", "=", "=", "~", "+"]
    assert changes[-1].right == "ValueError"


def test_equal_logs_show_their_beginning() -> None:
    changes = compare(["a"] * 9, ["a"] * 9)
    assert [change.kind for change in changes] == ["=", "=", "=", "."]


def test_a_line_that_only_one_has_is_told_as_such() -> None:
    assert [change.kind for change in compare(["x", "y"], ["x"])] == ["=", "-"]
    assert [change.kind for change in compare([], ["x"])] == ["+"]


def test_the_nearest_completed_partition_is_found_on_either_side() -> None:
    states = bytes([6, 4, 7, 4, 6, 4])
    assert nearest_completed(states, 2, 6) == 0
    assert nearest_completed(states, 3, 6) == 4
    assert nearest_completed(bytes([7]), 0, 6) is None
    assert nearest_completed(bytes([6, 7]), 1, 6) == 0
