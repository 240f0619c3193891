"""Durations, countdowns and amounts."""

import pytest

from tui.model.moments import bytes_text, countdown, precise_clock, seconds_of, short_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0s"),
        (0.44, "0.4s"),
        (12, "12s"),
        (185, "3m05s"),
        (7_800, "2h10m"),
        (97_200, "1d03h"),
        (8_553_600, "99d00h"),
    ],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert short_duration(seconds) == text
    assert len(text) <= 6


@pytest.mark.parametrize(("seconds", "text"), [(-5, "00:00"), (41, "00:41"), (3_723, "1:02:03"), (273_600, "3d04h")])
def test_countdowns_never_go_below_zero(seconds: float, text: str) -> None:
    assert countdown(seconds) == text


def test_times_of_the_wire_are_read_to_the_microsecond_and_what_is_no_time_is_none() -> None:
    seconds = seconds_of("2026-11-24T12:09:42.118999123Z")
    assert seconds is not None
    assert precise_clock(seconds) == "12:09:42.118"
    assert seconds_of("") is None
    assert seconds_of("soon") is None


@pytest.mark.parametrize(("number", "text"), [(0, "0 B"), (999, "999 B"), (1_900_000, "1.9 MB"), (2e18, "2000.0 PB")])
def test_bytes_are_in_powers_of_1000(number: float, text: str) -> None:
    assert bytes_text(number) == text
