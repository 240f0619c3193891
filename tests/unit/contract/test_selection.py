"""Selections of partitions."""

import pytest

from orchestrator.contract.selectors import Fact, Selection, format_ranges, parse_ranges
from tests.unit.contract.selection_table import PARTITIONS, REFUSED, SELECTED


@pytest.mark.parametrize(("text", "indices"), SELECTED.items())
def test_selection_selects_these_partitions(text: str, indices: set[int]) -> None:
    selection = Selection.parse(text)

    assert {one.index for one in PARTITIONS if selection.test(one)} == indices


@pytest.mark.parametrize(("text", "reason"), REFUSED.items())
def test_bad_selection_is_refused_with_its_piece_and_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="selection: ") as caught:
        Selection.parse(text)

    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("", set()),
        ("3-9 failed node:n1 attempt>1", {Fact.INDEX, Fact.STATE, Fact.NODE, Fact.ATTEMPT}),
        ("!cause:oom", {Fact.CAUSE}),
        ("3,err~x", {Fact.INDEX, Fact.MESSAGE}),
        ("dur>1 exit:1 group:g input~x", {Fact.DURATION, Fact.EXIT, Fact.GROUP, Fact.INPUT}),
    ],
)
def test_selection_tells_what_it_needs_to_know(text: str, facts: set[Fact]) -> None:
    selection = Selection.parse(text)

    assert selection.needs == facts
    assert selection.is_packed == (facts <= {Fact.INDEX, Fact.STATE, Fact.NODE, Fact.ATTEMPT})


def test_many_indices_are_merged_into_few_ranges() -> None:
    (indices,) = Selection.parse("5,1,2,3,9-12,11-14,4").terms

    assert indices == Selection.parse("1-5,9-14").terms[0]


@pytest.mark.parametrize(
    ("indices", "text"), [([], ""), ([3], "3"), ([4, 3, 5, 12, 3], "3-5,12"), (range(1000), "0-999"), ([1, 3], "1,3")]
)
def test_indices_become_the_shortest_ranges_and_back(indices: list[int], text: str) -> None:
    assert format_ranges(indices) == text
    assert [index for part in parse_ranges(text) for index in part] == sorted(set(indices))


@pytest.mark.parametrize("text", ["a", "1-", "-1", "1,,2", "5-1", "1 2", "10000000"])
def test_text_that_is_no_ranges_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="selection: "):
        parse_ranges(text)
