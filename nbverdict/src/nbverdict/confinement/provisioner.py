"""A Jupyter kernel provisioner that starts kernels confined; every Jupyter client can name it."""

import atexit
import functools
import json
import os
import subprocess
import threading
import weakref
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Bool, Dict, List, Unicode
from traitlets.config import Config
from traitlets.utils.importstring import import_item

from nbverdict.checks.assignments import installed_assignments
from nbverdict.confinement import scratch
from nbverdict.confinement.guard import Guard, Process
from nbverdict.confinement.layers import LINUX, MECHANISMS, Confinement, ConfinementError, Limits, obstacles
from nbverdict.confinement.warm import Warm

POSIX = os.name == "posix"
PACKAGE = Path(__file__).parent.parent


Preloading = tuple[tuple[str, ...], tuple[str, ...]]  # modules, and environment variables that are kept
_warm: dict[Preloading, Warm] = {}  # one warm process for each; it ends with this one
_making = threading.RLock()  # kernels may be started from several threads


def _warm_for(what: Preloading) -> Warm:
    with _making:
        if what not in _warm:
            modules, keep = what
            private = scratch.make_private()
            scratch.make_home(private / "home")
            _warm[what] = Warm(modules, scratch.environment(private / "home", keep))
            atexit.register(scratch.remove, private)
            atexit.register(_warm[what].close)
        return _warm[what]


def start_warm(config: Config) -> None:
    """Start the process that a configuration's kernels are forked from, if they are, so that it imports meanwhile."""
    provisioner = ConfinedProvisioner(config=config)
    if provisioner.forks:
        _warm_for(provisioner.preloading).start()


@functools.cache
def _folder(function: str) -> str:
    try:
        return str(import_item(function)())
    except Exception as error:  # of the course's own code
        raise ConfinementError(f"c.ConfinedProvisioner.folders: {function} made no folder: {error}") from error


class ConfinedProvisioner(LocalProvisioner):
    """Starts a kernel in a private copy of its folder, behind every layer that the machine offers."""

    limits = Dict(help="Fields of `Limits` that differ from its defaults.").tag(config=True)
    readable = List(Unicode(), help="Folders a kernel may read besides Python, the system and this package.").tag(
        config=True
    )
    folders = Dict(
        value_trait=Unicode(),
        key_trait=Unicode(),
        help="Environment variable -> dotted name of a function that makes a folder for all kernels and returns it. It "
        "is called once, before the first kernel starts; kernels may read the folder, and the variable names it.",
    ).tag(config=True)
    hidden = List(
        Unicode(),
        help="What stays out of sight even inside a readable folder, besides the checks of installed packages.",
    ).tag(config=True)
    keep = List(Unicode(), help="Environment variables a kernel may see.").tag(config=True)
    environment = Dict(help="Environment variables that kernels are given.").tag(config=True)
    preload = List(
        Unicode(), help="Fork kernels from one process that has imported these modules; empty: start each by itself."
    ).tag(config=True)
    mechanisms = List(Unicode(), list(MECHANISMS), help="What may be used where it is offered.").tag(config=True)
    require = Bool(False, help="Refuse to start a kernel unless every layer is active.").tag(config=True)

    # Where a kernel listens for another client besides Jupyter's, by its own name and by the grader's; without sockets
    # of files, the kernel chooses the port.
    line: tuple[str, str] = ("tcp://127.0.0.1:*", "")
    _guard: Guard | None = None
    _private: Path | None = None
    _finish: "weakref.finalize[..., Any] | None" = None

    @property
    def forks(self) -> bool:
        """Whether kernels are forked from a warm process: only where a fork can be confined like a new process."""
        why = {name: obstacles()[name] if name in self.mechanisms else "switched off" for name in MECHANISMS}
        return bool(self.preload) and LINUX and not why["landlock"] and bool(not why["unshare"] or why["bubblewrap"])

    @property
    def preloading(self) -> Preloading:
        """What tells one warm process from another."""
        return tuple(self.preload), tuple(self.keep)

    @property
    def confinement(self) -> Confinement:
        """What keeps a kernel of this provisioner in, as configured."""
        readable = (str(PACKAGE), *self.readable, *self._made().values())
        hidden = (*self.hidden, *(str(assignment.folder) for assignment in installed_assignments().values()))
        # A fork cannot enter bubblewrap, which is a program.
        mechanisms = [name for name in self.mechanisms if not (self.forks and name == "bubblewrap")]
        return Confinement(Limits(**self.limits), readable, hidden, tuple(mechanisms))

    def _made(self) -> dict[str, str]:
        """The folders that all kernels share, by environment variable."""
        with _making:
            return {variable: _folder(function) for variable, function in self.folders.items()}

    @property
    def reason(self) -> str | None:
        """Why the guard ended the kernel, as a sentence without subject; None if it did not."""
        return self._guard.reason if self._guard else None

    @property
    def failure(self) -> str | None:
        """Why the kernel ended, where that is our own doing and not its notebook's, as a sentence; None otherwise."""
        if self._guard and self._guard.error:
            return f"the guard of a kernel failed ({type(self._guard.error).__name__}: {self._guard.error})"
        if getattr(self.process, "lost", False):
            return "the process that kernels are forked from has ended"
        return None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Settle the connection: sockets of the grader's, in a folder that the kernel does not see."""
        if self._private is None:
            self._private = scratch.make_private()
            self._finish = weakref.finalize(self, scratch.remove, self._private)
        # SIGINT would reach bubblewrap, not the kernel behind it.
        self.kernel_spec.interrupt_mode = "message"
        manager: Any = self.parent
        if POSIX:
            # A relative path, jupyter_client's default, would mean two places in two processes.
            manager.transport, manager.ip, manager.cache_ports = "ipc", str(self._private / "c"), False
        self._wanted_folder = kwargs.get("cwd")
        return dict(await super().pre_launch(**kwargs))

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Copy the folder, set up the layers, and start the kernel under a guard."""
        assert self._private is not None
        private, walls = self._private, self.confinement
        limits = walls.limits
        if self.require:
            walls.require_all()
        self._stop()
        for old in ("work", "ipc", "home"):
            scratch.remove(private / old)
        work, home, ipc = private / "work", private / "home", private / "ipc"
        if self._wanted_folder:
            left = scratch.stage(Path(self._wanted_folder), work, limits)
            if left:
                self.log.warning("not given to the kernel: %s", ", ".join(left[:10]))
        else:
            work.mkdir(mode=0o700)
        scratch.make_home(home)
        ipc.mkdir(mode=0o700)

        manager: Any = self.parent
        info: dict[str, Any] = dict(self.connection_info)
        sockets = {}
        if POSIX:
            ports = [info[f"{channel}_port"] for channel in ("shell", "iopub", "stdin", "control", "hb")]
            sockets = {private / f"c-{port}": ipc / f"k-{port}" for port in (*ports, "calls")}
            info["ip"] = str(ipc / "k")
            self.line = f"ipc://{ipc}/k-calls", f"ipc://{private}/c-calls"
        info["key"] = info["key"].decode()
        connection = private / "connection.json"
        connection.unlink(missing_ok=True)
        connection.touch(mode=0o600)
        connection.write_text(json.dumps(info))
        kernel = [word.replace(os.path.realpath(manager.connection_file), str(connection)) for word in cmd]

        plan = walls.plan([str(work), str(home), str(ipc)], [str(connection)])
        if plan.uid is not None:
            scratch.give(plan.uid, connection, work, home, ipc)
        env = scratch.environment(home, self.keep, {**self.kernel_spec.env, **self._made(), **self.environment})
        shared_as = None
        if LINUX and plan.supervise and not plan.unshare:
            shared_as = os.getuid() if plan.uid is None else plan.uid
        output = private / "kernel.log"

        def start() -> Process:
            if self.forks and kernel[1:3] == ["-m", "ipykernel_launcher"]:
                return _warm_for(self.preloading).kernel(plan, kernel[3:], env, str(work), str(output))
            command = walls.command(plan, kernel, str(work))
            with output.open("wb") as log:
                return subprocess.Popen(
                    command, env=env, cwd=work, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )

        self._guard = Guard(start, work, sockets, shared_as, limits, self.log)
        process: Any = self._guard.launch()  # Popen, or what has as much of its interface as is needed
        self.process, self.pid, self.cwd = process, process.pid, work
        return self.connection_info

    @property
    def last_words(self) -> str:
        """The last part of what an ended kernel had printed where no client sees it."""
        return self._guard.last_words if self._guard else ""

    async def send_signal(self, signum: int) -> None:
        """End the kernel, whatever the signal; interrupts do not come here, they are sent as messages."""
        self._stop()

    async def kill(self, restart: bool = False) -> None:
        """End the kernel and all that it started."""
        self._stop()

    async def terminate(self, restart: bool = False) -> None:
        """End the kernel and all that it started."""
        self._stop()

    async def cleanup(self, restart: bool = False) -> None:
        """Remove what the kernel wrote, unless another is about to start in its place."""
        self._stop()
        if not restart and self._finish is not None:
            self._finish()
            self._private = self._finish = None

    def _stop(self) -> None:
        if self._guard is not None:
            self._guard.stop()
            self._guard.join()
