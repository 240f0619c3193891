"""How much one address may ask."""

from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.ratelimit import Buckets

PAUSES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 3.0]), min_size=50, max_size=200)
"""Whole requests at 4 a second, in numbers that are not rounded."""


def admitted(buckets: Buckets, address: str, now: float, tries: int) -> int:
    """How many of so many requests at one moment are taken."""
    return sum(buckets.admits(address, now) for _ in range(tries))


def test_a_burst_is_taken_and_no_more_and_time_fills_the_bucket_again() -> None:
    buckets = Buckets(rate=1000, burst=1000)
    assert admitted(buckets, "a", 50.0, 1500) == 1000
    assert admitted(buckets, "a", 50.1, 1500) == 100
    assert admitted(buckets, "b", 50.1, 1500) == 1000
    assert admitted(buckets, "a", 51.1, 1500) == 1000
    assert admitted(buckets, "a", 900.0, 1500) == 1000


def test_addresses_whose_bucket_is_full_again_are_forgotten() -> None:
    buckets = Buckets(rate=10, burst=10)
    for number in range(10_000):
        assert buckets.admits(f"address {number}", number / 100)
    assert len(buckets.young) + len(buckets.old) <= 202
    assert buckets.admits("the last", 1000.0)
    assert [*buckets.young, *buckets.old] == ["the last"]


@given(PAUSES)
@example([0, 0.75, 0, 0, 0, 0, 0.25, 0])
def test_what_is_forgotten_is_judged_as_if_it_were_kept(pauses: list[float]) -> None:
    buckets, now, left = Buckets(rate=4, burst=4), 0.0, 4.0
    for pause in pauses:
        now += pause
        left = min(4.0, left + 4 * pause)
        assert buckets.admits("a", now) is (left >= 1)
        left -= left >= 1
        buckets.admits("another", now)
