"""A halt of the machine makes nobody late."""

from nbverdict import clock


def test_a_halt_counts_as_one_turn(monkeypatch):
    times = iter([100.0, 100.2, 100.9, 4000.0, 4000.5])
    monkeypatch.setattr(clock, "monotonic", lambda: next(times))
    waiting = clock.Clock()
    counted = [round(waiting.seconds(), 6) for _ in range(4)]
    assert counted == [0.2, 0.9, 0.9 + clock.LONGEST_TURN, 1.4 + clock.LONGEST_TURN]


def test_a_turn_may_be_longer(monkeypatch):
    times = iter([0.0, 30.0])
    monkeypatch.setattr(clock, "monotonic", lambda: next(times))
    assert clock.Clock(10).seconds() == 10
