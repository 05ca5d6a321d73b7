"""Forked processes, and how they end."""

import concurrent.futures
import contextlib
import select
import socket
import threading

from nbverdict.confinement.warm import Forked


def test_two_threads_may_ask_whether_a_fork_ended(monkeypatch):
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.send(b"123")
    forked = Forked(mine)
    theirs.send(b"7")
    theirs.close()
    both, ask = threading.Barrier(2), select.select

    def slowly(*args):
        ready = ask(*args)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.3)  # both have seen that there is something to read, if both may look
        return ready

    monkeypatch.setattr(select, "select", slowly)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert [told.result() for told in [pool.submit(forked.poll) for _ in range(2)]] == [7, 7]
