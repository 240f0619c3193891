"""One heap of what has to be looked at."""

from orchestrator.contract.ids import Timestamp
from orchestrator.core.deadlines import Deadline, Deadlines, Kind


def at(due: int, key: str = "n1", kind: Kind = Kind.LEASE) -> Deadline:
    return Deadline(Timestamp(due), kind, key)


def test_deadlines_are_taken_earliest_first_and_only_when_due() -> None:
    deadlines = Deadlines()
    for due in (30, 10, 20):
        deadlines.add(at(due))
    assert deadlines.next() == 10
    assert deadlines.take(Timestamp(9), 10) == []
    assert deadlines.take(Timestamp(20), 10) == [at(10), at(20)]
    assert deadlines.next() == 30


def test_no_more_are_taken_than_asked_for_and_the_others_stay_due() -> None:
    deadlines = Deadlines()
    for due in range(5):
        deadlines.add(at(due))
    assert deadlines.take(Timestamp(9), 2) == [at(0), at(1)]
    assert deadlines.next() == 2
    assert len(deadlines.take(Timestamp(9), 10)) == 3
    assert deadlines.next() is None


def test_the_same_deadline_twice_is_one_until_it_was_taken() -> None:
    deadlines = Deadlines()
    deadlines.add(at(5))
    deadlines.add(at(5))
    deadlines.add(at(5, "n2"))
    deadlines.add(at(5, kind=Kind.FENCE))
    assert len(deadlines.take(Timestamp(5), 10)) == 3
    deadlines.add(at(5))
    assert deadlines.take(Timestamp(5), 10) == [at(5)]
