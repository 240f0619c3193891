"""How long the terminal takes to show what is written to it: asked where its cursor is, it answers when it has got there.

A slow link is not seen by who writes to it: megabytes may lie between. So pictures that nobody asked for wait until the
terminal has answered, and come less often the longer it takes.
"""

SLOW = 0.150
"""Seconds from which on the operator is told, and pictures come half as often."""
SLOWEST_RATE = 1.0
NEVER_ANSWERS = 3.0
"""Seconds after which a terminal that has never answered is not waited for."""
LOST = 30.0
"""Seconds after which an answer counts as lost."""


class RoundTrip:
    """Told when the terminal is asked and when it answers, with times of a monotonic clock in seconds."""

    def __init__(self) -> None:
        self._last = 0.0
        self._asked: float | None = None
        self._has_answered = False

    def ask(self, now: float) -> bool:
        """Whether to ask now: never two at once."""
        if self.is_busy(now):
            return False
        self._asked = now
        return True

    def answered(self, now: float) -> None:
        """The answer came; one that nobody waits for tells nothing."""
        if self._asked is not None:
            self._last = now - self._asked
            self._asked, self._has_answered = None, True

    def is_busy(self, now: float) -> bool:
        """Whether it has not got yet to what was written before it was asked."""
        return self._asked is not None and now - self._asked < (LOST if self._has_answered else NEVER_ANSWERS)

    def seconds(self, now: float) -> float:
        """How long it takes, at least; 0 = not known."""
        waited = now - self._asked if self._asked is not None and self._has_answered else 0.0
        return max(self._last, waited)

    def rate(self, most: float, now: float) -> float:
        """Pictures a second: half as many for each doubling of the time it takes above SLOW, not below one."""
        took, rate = self.seconds(now), most
        while took > SLOW and rate > SLOWEST_RATE:
            took, rate = took / 2, rate / 2
        return rate if most < SLOWEST_RATE else max(rate, SLOWEST_RATE)

    def text(self, now: float) -> str:
        """What line 1 says; empty while there is nothing to say."""
        took = self.seconds(now)
        return f"term {round(1000 * took)} ms" if took > SLOW else ""
