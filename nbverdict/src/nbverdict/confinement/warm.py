"""A warm Python: kernels are forked from a process that has imported what notebooks import, and has done nothing else.

The process holds no secret, has computed nothing and started no Python thread. Each fork confines itself before it
becomes a kernel, with random numbers, temporary folders and signals of its own.
"""

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import FrameType
from typing import Any

from nbverdict.confinement.child import Plan, enter
from nbverdict.imports import uncollected, without_address_grammar

_MOST = 1 << 20  # bytes of one request
# What a kernel imports at its start: ipykernel imports these only when an instance is made.
_KERNEL = (
    *("ipykernel.kernelapp", "ipykernel.debugger", "tornado.platform.asyncio"),
    *("IPython.core.completerlib", "IPython.core.debugger", "IPython.core.oinspect", "IPython.extensions.storemagic"),
    "sqlite3",
)


class Forked:
    """A forked kernel; its members mean the same as those of `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, status: socket.socket) -> None:
        self._status = status
        self._one_at_a_time = threading.Lock()  # the guard asks, and so does the client
        self.returncode: int | None = None
        self.lost = False  # whether the warm process has ended, and with it its kernels
        told = status.recv(64)
        if not told:
            raise RuntimeError("the warm process ended before it forked")
        self.pid = int(told)

    def poll(self) -> int | None:
        """Return the exit status, or None as long as the process runs."""
        with self._one_at_a_time:
            if self.returncode is None and select.select([self._status], [], [], 0)[0]:
                told = self._status.recv(64)
                self.returncode = int(told) if told else -signal.SIGKILL
                self.lost = not told  # without a word: the warm process is gone
                self._status.close()
            return self.returncode

    def wait(self) -> int:
        """Wait for the exit status."""
        while self.poll() is None:
            time.sleep(0.01)
        assert self.returncode is not None
        return self.returncode

    def kill(self) -> None:
        """End the process."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class Warm:
    """The grader's end of a warm process. It starts at the first fork, again if it ended, and ends with the grader.

    Processes that are forked from the grader share it: it ends when all of them have.
    """

    def __init__(self, modules: Sequence[str], env: Mapping[str, str]) -> None:
        self._modules, self._env = modules, dict(env)
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def fork(self, plan: Plan, arguments: Sequence[str], env: Mapping[str, str], folder: str, log: str) -> Forked:
        """Start a kernel with these arguments in a folder, confined by a plan; its own output goes to a file."""
        request = {"plan": asdict(plan), "arguments": list(arguments), "env": dict(env), "folder": folder, "log": log}
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._lock:
            line = self._start_if_none_runs()
            socket.send_fds(line, [json.dumps(request).encode()], [theirs.fileno()])
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
            # Frozen modules would make debugpy, which ipykernel imports, complain to the grader's terminal.
            command = [sys.executable, "-Xfrozen_modules=off", "-P", "-m", __name__, *self._modules]
            options: dict[str, Any] = {"cwd": "/", "env": self._env, "start_new_session": True}
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), **options)
        return self._line

    def close(self) -> None:
        """End the warm process, and with it its kernels."""
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.wait()


def serve(modules: Sequence[str]) -> None:
    """Import these modules, then fork a kernel for each request from standard input until it closes."""
    # Its pages stay shared: a collection in a kernel would touch, and so copy, those that it visits.
    with without_address_grammar(), uncollected():
        for module in (*_KERNEL, *modules):
            importlib.import_module(module)
        if backends := sys.modules.get("matplotlib.backends"):
            backends.backend_registry.list_all()  # it reads the entry points of all installed packages, once
    line = socket.socket(fileno=os.dup(0))
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, _ignore)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the grader handles Ctrl-C
    signal.set_wakeup_fd(woken)
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([line.fileno(), wake], [], [])
        if wake in ready:
            os.read(wake, 1024)
            _report(running)
        if line.fileno() in ready:
            text, handles, _, _ = socket.recv_fds(line, _MOST, 1)
            if not text:
                for pid in running:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGTERM)
                return
            status = socket.socket(fileno=handles[0])
            pid = os.fork()
            if pid == 0:
                _become_kernel(json.loads(text))
            running[pid] = status
            with contextlib.suppress(OSError):
                status.send(str(pid).encode())


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing: the wake-up pipe has reported the signal."""


def _report(running: dict[int, socket.socket]) -> None:
    """Tell the grader of each process that has ended."""
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with contextlib.suppress(OSError), running.pop(pid) as told:
                told.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become_kernel(request: dict[str, Any]) -> None:
    """Confine this fork and run a kernel in it; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        nothing = os.open(os.devnull, os.O_RDONLY)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for target, source in ((0, nothing), (1, log), (2, log)):
            os.dup2(source, target)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.environ.clear()
        os.environ.update(request["env"])
        enter(Plan(**request["plan"]))
        os.chdir(request["folder"])
        _fresh()
        _kernel(request["arguments"])
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _fresh() -> None:
    """Give this fork what a new process would have of its own."""
    tempfile.tempdir = None
    if random := sys.modules.get("random"):
        random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    if torch := sys.modules.get("torch"):
        torch.default_generator.seed()
    _use_threads()


def _use_threads() -> None:
    """Let PyTorch use as many threads as `OMP_NUM_THREADS` says; it read that when it was imported, and so not now."""
    threads, torch = os.environ.get("OMP_NUM_THREADS", ""), sys.modules.get("torch")
    if torch and threads.isdecimal() and int(threads) > 0:
        torch.set_num_threads(int(threads))


def _kernel(arguments: Sequence[str]) -> None:
    """Run an IPython kernel, as `python -m ipykernel_launcher` does."""
    from ipykernel.kernelapp import IPKernelApp

    sys.argv = ["ipykernel_launcher", *arguments]
    app: Any = IPKernelApp.instance()
    app.initialize(list(arguments))
    if matplotlib := sys.modules.get("matplotlib"):
        # It was imported before there was a kernel, and chooses both at the import.
        matplotlib.rcParams["backend"] = os.environ.get("MPLBACKEND", "agg")
        if pyplot := sys.modules.get("matplotlib.pyplot"):
            pyplot.install_repl_displayhook()
    app.start()
    while True:  # code of the notebook has stopped the loop; the grader ends a kernel by a signal
        app.io_loop.start()


if __name__ == "__main__":
    serve(sys.argv[1:])
