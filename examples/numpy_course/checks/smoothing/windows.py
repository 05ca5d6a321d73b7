"""Checks of `Windows(recording, width)`: the windows of a recording, one by one."""

import numpy as np
import pytest
from values import Recording

from nbverdict.checks.diagnosis import Wrong, compare, describe

EXERCISE = {"answer": "Windows", "constructs": True}


@pytest.mark.points(2)
def test_length(windows, rng):
    """len() is the number of windows."""
    for n, width in ((6, 2), (6, 6), (3, 5)):
        got, right = len(windows(Recording(rng.normal(size=n), 10.0), width)), max(0, n - width + 1)
        if got != right:
            cause = "the last window is lost" if got == right - 1 else "the length is not the number of windows"
            raise Wrong(
                expected=f"{right} windows of {width} in {n} samples",
                got=f"{got}",
                cause=cause,
                hint="The last window begins at N - width.",
            )


@pytest.mark.points(3)
def test_items(windows, rng):
    """Item i is (time in seconds at which the window begins, its samples)."""
    recording = Recording(rng.normal(size=7), 4.0)
    made = windows(recording, 3)
    for i, item in enumerate(made.take(range(5))):
        if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], np.ndarray)):
            hint = "End __getitem__ with `return start, samples`."
            raise Wrong(expected="(start, samples)", got=describe(item), cause="an item is not a pair", hint=hint)
        cause = "the start is an index, not a time" if item[0] == i != 0 else "the start is not i / rate"
        compare("start", float(item[0]), i / 4.0, cause=cause, hint="Time is index / rate.")
        samples = recording.samples[i : i + 3]
        compare("samples", item[1], samples, cause="the window begins or ends elsewhere", hint="x[i : i + width].")
