"""Failure groups in words: where they are, and how they lie in the job."""

import random

from orchestrator.contract.execution import Cause
from orchestrator.contract.partitions import FailureGroup, Row
from orchestrator.contract.selection import format_ranges, parse_ranges
from tui.model.failures import cause_text, inside, map_of, report, where


def group(partitions: str, *, cause: Cause = Cause.EXIT, exit_code: int | None = 1) -> FailureGroup:
    count = sum(len(one) for one in parse_ranges(partitions))
    sample = Row(index=parse_ranges(partitions)[0].start, state="failed", attempts=1)
    return FailureGroup(
        group="g", cause=cause, exit_code=exit_code, message="m", count=count, partitions=partitions, sample=sample
    )


def test_where_is_a_range_a_few_or_scattered() -> None:
    assert where(group("41200-41411")) == "41200…41411"
    assert where(group("2917,52840")) == "2917, 52840"
    assert where(group("1,3,5,7,9")) == "scattered 1…9"


def test_cause_is_told_with_its_code() -> None:
    assert cause_text(group("1")) == "exit 1"
    assert cause_text(group("1", cause=Cause.OOM, exit_code=137)) == "oom exit 137"
    assert cause_text(group("1", cause=Cause.TIMEOUT, exit_code=None)) == "timeout"


def test_the_map_counts_as_a_recount_does() -> None:
    chance = random.Random(7)
    for _ in range(50):
        count = chance.randint(1, 400)
        indices = sorted(chance.sample(range(count), chance.randint(1, count)))
        ranges = parse_ranges(format_ranges(indices))
        first = chance.randrange(count)
        last = chance.randint(first, count)
        assert inside(ranges, first, last) == sum(1 for index in indices if first <= index < last)
        cells = chance.randint(1, count)
        shares = map_of(group(format_ranges(indices)), count, cells)
        assert len(shares) == cells
        assert all(0 <= share <= 1 for share in shares)


def test_the_report_names_every_group_with_a_sample() -> None:
    text = report("etl", [group("1-3"), group("9")])
    assert "etl: 4 partitions in 2 failure groups" in text
    assert "partitions 1-3" in text
