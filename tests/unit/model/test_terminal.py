"""Pictures wait for a slow terminal, and for no terminal that does not answer."""

from tui.model.terminal import RoundTrip


def after(seconds: float) -> RoundTrip:
    trip = RoundTrip()
    assert trip.ask(0.0)
    trip.answered(seconds)
    return trip


def test_it_is_never_asked_twice_at_once() -> None:
    trip = after(0.01)
    assert trip.ask(1.0)
    assert not trip.ask(2.0)
    assert trip.is_busy(20.0)
    assert trip.answered(20.5), "what was written meanwhile is asked for"
    assert not trip.is_busy(20.5)
    assert trip.ask(21.0)
    assert not trip.answered(21.1)


def test_a_terminal_that_never_answers_is_not_waited_for() -> None:
    trip = RoundTrip()
    trip.ask(0.0)
    assert trip.is_busy(1.0)
    assert not trip.is_busy(3.5)
    trip.ask(3.5)
    assert not trip.is_busy(3.6), "nor for the next answer that will not come"
    assert trip.text(100.0) == ""
    assert trip.rate(10, 100.0) == 10


def test_an_answer_that_nobody_asked_for_tells_nothing() -> None:
    trip = RoundTrip()
    trip.answered(5.0)
    assert trip.seconds(5.0) == 0


def test_the_slower_it_is_the_fewer_pictures_but_one_a_second() -> None:
    assert [after(seconds).rate(10, 0) for seconds in (0.1, 0.24, 0.5, 2.0)] == [10, 5, 2.5, 1]
    assert after(9).rate(0.2, 0) == 0.2


def test_what_a_picture_may_hold_follows_what_the_last_one_took_beyond_the_way_itself() -> None:
    trip = after(0.2)
    held = [trip.lines]
    for took in (0.2, 1.7, 0.5, 0.2, 0.2, 60.0):
        assert trip.ask(0.0)
        trip.answered(took)
        held.append(trip.lines)
    assert held == [64, 64, 6, 3, 4, 5, 1]


def test_what_is_on_the_way_counts_before_it_is_answered() -> None:
    trip = after(0.01)
    trip.ask(1.0)
    assert trip.text(1.05) == ""
    assert trip.text(1.24) == "term 240 ms"


def test_what_was_on_its_way_while_another_program_had_the_terminal_tells_nothing() -> None:
    trip = after(0.01)
    trip.ask(1.0)
    trip.forget(60.0)
    assert trip.text(60.0) == ""
    assert not trip.is_busy(60.0), "pictures do not wait for it"
    assert not trip.ask(60.1), "its answer would be taken for that of the next question"
    assert trip.answered(60.2), "it came: what was written meanwhile is asked for"
    assert trip.text(60.2) == ""
    assert trip.ask(60.2)
    trip.answered(60.44)
    assert trip.text(60.44) == "term 240 ms"


def test_an_answer_that_went_to_another_program_is_not_waited_for() -> None:
    trip = after(0.01)
    trip.ask(1.0)
    trip.forget(60.0)
    trip.forget(61.0)
    assert not trip.ask(62.9)
    assert trip.ask(63.0)
    assert not trip.answered(63.01)
    assert trip.seconds(63.01) < 0.1
