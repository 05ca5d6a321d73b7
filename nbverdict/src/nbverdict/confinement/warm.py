"""A warm Python: kernels are forked from a process that has imported what notebooks import, and has done nothing else.

Each fork confines itself before it becomes a kernel, with random numbers, temporary folders and signals of its own.
"""

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from nbverdict.confinement.child import Plan, enter
from nbverdict.confinement.forking import Forked, ForkServer, serve_forks
from nbverdict.imports import uncollected, without_address_grammar

# What a kernel imports at its start: ipykernel imports these only when an instance is made.
_KERNEL = (
    *("ipykernel.kernelapp", "ipykernel.debugger", "tornado.platform.asyncio"),
    *("IPython.core.completerlib", "IPython.core.debugger", "IPython.core.oinspect", "IPython.extensions.storemagic"),
    "sqlite3",
)


class Warm(ForkServer):
    """The grader's end of the process from which kernels are forked; `modules` are imported there."""

    def __init__(self, modules: Sequence[str], env: Mapping[str, str]) -> None:
        # Frozen modules would make debugpy, which ipykernel imports, complain to the grader's terminal.
        super().__init__([sys.executable, "-Xfrozen_modules=off", "-P", "-m", __name__, *modules], env)

    def kernel(self, plan: Plan, arguments: Sequence[str], env: Mapping[str, str], folder: str, log: str) -> Forked:
        """Start a kernel with these arguments in a folder, confined by a plan; its own output goes to a file."""
        return self.fork(
            {"plan": asdict(plan), "arguments": list(arguments), "env": dict(env), "folder": folder, "log": log}
        )


def serve(modules: Sequence[str]) -> None:
    """Import these modules, then fork a kernel for each request from standard input until it closes."""
    # Its pages stay shared: a collection in a kernel would touch, and so copy, those that it visits.
    with without_address_grammar(), uncollected():
        for module in (*_KERNEL, *modules):
            importlib.import_module(module)
        if backends := sys.modules.get("matplotlib.backends"):
            backends.backend_registry.list_all()  # it reads the entry points of all installed packages, once
    serve_forks(_become_kernel)


def _become_kernel(request: dict[str, Any], handles: list[int]) -> None:
    """Confine this fork and run a kernel in it; never returns."""
    code = 1
    try:
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
