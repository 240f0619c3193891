"""How long the terminal takes to show what is written to it: asked where its cursor is, it answers when it has got there.

A slow link is not seen by who writes to it: megabytes may lie between. So it is asked behind every picture, and the next
one that nobody asked for waits for the answer: never more than one is on the way. How much may be in it follows from how
long the last one took.
"""

SLOW = 0.150
"""Seconds from which on the operator is told, and pictures come half as often."""
SLOWEST_RATE = 1.0
NEVER_ANSWERS = 3.0
"""Seconds after which a terminal that has never answered, and an answer that went astray, is not waited for any more."""
LOST = 30.0
"""Seconds after which an answer counts as lost."""
ALL_LINES = 64
"""Lines of the grid in a picture, where the terminal is quick enough for all."""


class RoundTrip:
    """Told when something was written and when the terminal answers, with times of a monotonic clock in seconds."""

    def __init__(self) -> None:
        self.lines = ALL_LINES
        """How many lines of the grid the next picture may have."""
        self._last = 0.0
        self._least = LOST
        self._asked: float | None = None
        self._forgotten_until = 0.0
        self._has_answered = self._is_mute = self._is_owed = False

    def ask(self, now: float) -> bool:
        """Whether to ask now: never two at once. What is written meanwhile is asked for after the answer."""
        self._is_owed = self.is_busy(now) or now < self._forgotten_until
        if not self._is_owed:
            self._asked = now
        return not self._is_owed

    def answered(self, now: float) -> bool:
        """The answer came, an answer that nobody waits for tells nothing; whether to ask again."""
        if self._asked is None:
            was_forgotten, self._forgotten_until = now < self._forgotten_until, 0.0
            return was_forgotten and self._is_owed
        self._last = now - self._asked
        self._least = min(self._least, self._last)
        self._asked, self._has_answered, self._is_mute = None, True, False
        queued = self._last - self._least
        if queued > SLOW:
            self.lines = max(1, int(self.lines * SLOW / queued))
        elif queued < SLOW / 2:
            self.lines = min(ALL_LINES, self.lines + 1)
        return self._is_owed

    def forget(self, now: float) -> None:
        """Another program had the terminal: the answer that was on its way went there, or comes late and tells nothing."""
        if self._asked is not None:
            self._asked, self._forgotten_until = None, now + NEVER_ANSWERS

    def is_busy(self, now: float) -> bool:
        """Whether it has not got yet to what was written before it was asked."""
        if self._asked is None or self._is_mute:
            return False
        self._is_mute = not self._has_answered and now - self._asked >= NEVER_ANSWERS
        return not self._is_mute and now - self._asked < LOST

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
