"""The command line itself."""

import signal
import time

from nbverdict.__main__ import main


def test_an_interrupt_that_python_drops_is_sent_again(monkeypatch, capsys):
    """It drops one that comes while an object is being deleted."""

    class Last:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def interrupted(folder):
        Last()
        time.sleep(20)

    monkeypatch.setattr("nbverdict.__main__.read_configuration", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # these tests may run where it is ignored
    try:
        assert main(["grade", "gauss"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "the next run grades the rest" in capsys.readouterr().err
