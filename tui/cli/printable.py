"""Text from outside, made harmless: never markup, never a control sequence. And numbers and times as people read them."""

import re
from datetime import UTC, datetime

from tui.model.moments import MINUTE, short_duration
from tui.model.spelling import spelled

UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
"""Control characters, line and paragraph separators, marks that turn the direction of writing, half characters."""
SAFE_IN_LOGS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """`text` in one line, with what a terminal would obey written out."""
    return UNSAFE.sub(spelled, text)


def counted(number: int, noun: str) -> str:
    """`1 partition`, `3 partitions`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def no_match(count: int, select: str) -> str:
    """What is said of a selection that selects none of a job's `count` partitions."""
    return f"0 of {counted(count, 'partition')} {'matches' if count == 1 else 'match'} {select!r}"


def moment(nanoseconds: int) -> str:
    """A time of the wire (nanoseconds since 1970) as RFC 3339 in UTC, to the microsecond; empty for 0."""
    if not nanoseconds:
        return ""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest // 1000:06d}Z"


def age(time: str, now: datetime) -> str:
    """How long before `now` an RFC 3339 time was: `3m05s ago`; as it is when it cannot be read."""
    if not time:
        return ""
    try:
        then = datetime.fromisoformat(time)
    except ValueError:
        return time
    passed = (now - then).total_seconds()
    return f"{int(max(passed, 0))}s ago" if passed < MINUTE else f"{short_duration(passed)} ago"
