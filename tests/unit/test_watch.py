"""Bells that ring for who listens, and a log of changes that says when it does not know."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import watch
from orchestrator.watch import SPARE, Bells, ChangeLog, Latest


def test_a_ring_wakes_those_who_listen_to_that_key_and_nobody_else() -> None:
    bells = Bells()
    with bells.listen("a") as one, bells.listen("a") as two, bells.listen("b") as other:
        bells.ring("a")
        assert (one.is_set(), two.is_set(), other.is_set()) == (True, True, False)
        one.clear()
        bells.ring("a")
        assert one.is_set()


def test_who_has_left_is_forgotten() -> None:
    bells = Bells()
    with bells.listen("a") as one:
        with bells.listen("a"):
            pass
        bells.ring("a")
        assert one.is_set()
    bells.ring("a")
    assert bells._listeners == {}


async def test_a_ring_before_the_wait_is_not_missed() -> None:
    bells = Bells()
    with bells.listen("a") as rung:
        bells.ring("a")
        async with asyncio.timeout(30):
            await rung.wait()


def test_changes_since_a_commit_are_those_after_it() -> None:
    log = ChangeLog(10, floor=5)
    log.note(6, [1, 2])
    log.note(7, [])
    log.note(9, [2, 3])
    assert log.since(5) == {1, 2, 3}
    assert log.since(6) == log.since(7) == log.since(8) == {2, 3}
    assert log.since(9) == set()
    assert log.last == 9


def test_what_was_before_the_log_began_is_not_known() -> None:
    log = ChangeLog(10, floor=5)
    assert log.since(4) is None
    assert log.since(5) == set()


def test_a_log_that_is_full_forgets_its_oldest_commits() -> None:
    log = ChangeLog(1, floor=0)
    room = SPARE + 2
    log.note(1, range(room // 2 - 1))
    log.note(2, range(room // 2 - 1))
    assert log.since(0) is not None
    log.note(3, [0])
    assert (log.floor, log.since(0)) == (1, None)
    assert log.since(1) == set(range(room // 2 - 1))


def test_one_commit_larger_than_the_log_is_not_known_but_what_follows_is() -> None:
    log = ChangeLog(1, floor=0)
    log.note(1, range(SPARE + 10))
    assert (log.since(0), log.since(1)) == (None, set())
    log.note(2, [4])
    assert log.since(1) == {4}


@given(
    commits=st.lists(st.tuples(st.integers(1, 3), st.sets(st.integers(0, 30), max_size=6)), max_size=30),
    asked=st.integers(0, 100),
    size=st.integers(-SPARE // 2, -SPARE // 2 + 40),
)
def test_a_log_answers_all_or_says_that_it_does_not_know(
    commits: list[tuple[int, set[int]]], asked: int, size: int
) -> None:
    log, number, naive = ChangeLog(size, floor=0), 0, list[tuple[int, set[int]]]()
    for step, indices in commits:
        number += step
        log.note(number, indices)
        naive.append((number, indices))
    known = log.since(asked)
    expected = set[int]().union(*(indices for at, indices in naive if at > asked))
    assert known == expected if asked >= log.floor else known is None
    held = sum(len(indices) + 1 for at, indices in naive if at > log.floor)
    assert held <= max(0, 2 * size + SPARE)


def test_one_listener_may_wait_for_several_bells() -> None:
    bells = Bells()
    with bells.listen("a", "b") as rung:
        for key in ("a", "b"):
            rung.clear()
            bells.ring(key)
            assert rung.is_set()
    assert bells._listeners == {}


def test_the_jobs_that_changed_since_a_commit_are_known_latest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_LATEST", 2)
    latest = Latest(10)
    assert latest.since(9) is None
    assert latest.since(10) == []
    latest.note("a", 11)
    latest.note("b", 12)
    latest.note("a", 13)
    assert latest.since(10) == ["a", "b"]
    assert latest.since(12) == ["a"]
    latest.note("c", 14)
    assert latest.since(11) is None  # of b it is not known any more that it changed in 12
    assert latest.since(12) == ["c", "a"]
