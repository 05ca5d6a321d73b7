"""Waiting by a clock that stands still while the machine, or the grader, is halted."""

from time import monotonic

LONGEST_TURN = 1.0  # most seconds that one turn of waiting counts


class Clock:
    """Counts the seconds in which there was something to wait for.

    It is asked once in each turn of a loop that waits, and no turn counts more than `longest` seconds: what took longer
    was a halt of the machine or of the grader, for which nobody is late.
    """

    def __init__(self, longest: float = LONGEST_TURN) -> None:
        self._longest = longest
        self._before = monotonic()
        self._counted = 0.0

    def seconds(self) -> float:
        """Return the seconds since the clock was made, as they count."""
        now = monotonic()
        self._counted += min(now - self._before, self._longest)
        self._before = now
        return self._counted
