"""A process that has imported what others need, and forks one of them for each request.

It holds no secret, has computed nothing and started no Python thread, so that a fork is as good as a new process, and
starts in a hundredth of its time.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

_MOST = 1 << 20  # bytes of one request
_HANDLES = 8  # files that come with a request


class Forked:
    """A forked process; its members mean the same as those of `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, status: socket.socket) -> None:
        self._status = status
        self._one_at_a_time = threading.Lock()  # the guard asks, and so does the client
        self.returncode: int | None = None
        self.lost = False  # whether the server has ended, and with it its forks
        told = status.recv(64)
        if not told:
            raise RuntimeError("the process that forks ended before it did")
        self.pid = int(told)

    def poll(self) -> int | None:
        """Return the exit status, or None as long as the process runs."""
        with self._one_at_a_time:
            if self.returncode is None and select.select([self._status], [], [], 0)[0]:
                told = self._status.recv(64)
                self.returncode = int(told) if told else -signal.SIGKILL
                self.lost = not told  # without a word: the server is gone
                self._status.close()
            return self.returncode

    def wait(self) -> int:
        """Wait for the exit status."""
        while (code := self.poll()) is None:
            with contextlib.suppress(ValueError):  # another thread was told first, and has closed it
                select.select([self._status], [], [], 1.0)
        return code

    def kill(self) -> None:
        """End the process."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class ForkServer:
    """The near end of such a process. It starts at the first fork, again if it ended, and ends with its owner.

    `command` starts it, and is to call `serve_forks`. Processes that are forked from the owner share it: it ends when
    all of them have.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None, cwd: str = "/") -> None:
        self._command = command
        self._options: dict[str, Any] = {"cwd": cwd, "env": None if env is None else dict(env)}
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def fork(self, request: Mapping[str, Any], handles: Sequence[int] = ()) -> Forked:
        """Return a fork that has been given a request, which can be written as JSON, and these open files."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._lock:
            line = self._start_if_none_runs()
            socket.send_fds(line, [json.dumps(request).encode()], [theirs.fileno(), *handles])
        return Forked(mine)

    def start(self) -> None:
        """Let the process import before the first fork."""
        with self._lock:
            self._start_if_none_runs()

    def _start_if_none_runs(self) -> socket.socket:
        # It never says anything on this line, so that there is something to read only at its end.
        if self._line is not None and not select.select([self._line], [], [], 0)[0]:
            return self._line
        self.close()
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                self._command, stdin=theirs.fileno(), start_new_session=True, **self._options
            )
        return self._line

    def close(self) -> None:
        """End the process, and with it its forks."""
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.wait()


def serve_forks(become: Callable[[dict[str, Any], list[int]], None]) -> None:
    """Fork for each request from standard input until it closes; a fork calls `become`, and ends when that returns.

    `become` is given the request and its open files.
    """
    line = socket.socket(fileno=os.dup(0))
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, _ignore)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner handles Ctrl-C
    signal.set_wakeup_fd(woken)
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([line.fileno(), wake], [], [])
        if wake in ready:
            os.read(wake, 1024)
            _report(running)
        if line.fileno() in ready:
            text, handles, _, _ = socket.recv_fds(line, _MOST, _HANDLES)
            if not text:
                for pid in running:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGTERM)
                return
            status = socket.socket(fileno=handles[0])
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                for own in (line, status, *running.values()):
                    own.close()
                os.close(wake)
                os.close(woken)
                return become(json.loads(text), handles[1:])
            for handle in handles[1:]:
                os.close(handle)
            running[pid] = status
            with contextlib.suppress(OSError):
                status.send(str(pid).encode())


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing: the wake-up pipe has reported the signal."""


def _report(running: dict[int, socket.socket]) -> None:
    """Tell the owner of each process that has ended."""
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with contextlib.suppress(OSError), running.pop(pid) as told:
                told.send(str(os.waitstatus_to_exitcode(status)).encode())
