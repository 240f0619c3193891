"""Durations, ages, times and amounts as an operator reads them: short, and always of the same shape."""

from datetime import UTC, datetime

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def short_duration(seconds: float) -> str:
    """`0.4s`, `12s`, `3m05s`, `2h10m`, `1d03h`: at most six characters up to 99 days."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f}s"
    whole = int(seconds)
    if whole < MINUTE:
        return f"{whole}s"
    if whole < HOUR:
        return f"{whole // MINUTE}m{whole % MINUTE:02d}s"
    if whole < DAY:
        return f"{whole // HOUR}h{whole % HOUR // MINUTE:02d}m"
    return f"{whole // DAY}d{whole % DAY // HOUR:02d}h"


def countdown(seconds: float) -> str:
    """`00:41`, `1:02:03`, `3d04h`: time to come, or passed since a moment."""
    whole = max(0, int(seconds))
    if whole >= DAY:
        return f"{whole // DAY}d{whole % DAY // HOUR:02d}h"
    if whole >= HOUR:
        return f"{whole // HOUR}:{whole % HOUR // MINUTE:02d}:{whole % MINUTE:02d}"
    return f"{whole // MINUTE:02d}:{whole % MINUTE:02d}"


def seconds_of(time: str) -> float | None:
    """Seconds since 1970 of an RFC 3339 time; None where there is none, or it cannot be read."""
    if not time:
        return None
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None


def clock(seconds: float) -> str:
    """The time of day in UTC: `12:09:51Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%SZ")


def precise_clock(seconds: float) -> str:
    """The time of day in UTC to the millisecond: `12:09:42.118`."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def bytes_text(number: float) -> str:
    """Bytes as `4.1 GB`, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} PB"


def counted(number: int, noun: str) -> str:
    """`1 partition`, `3,000 partitions`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
