"""What makes imports shorter: one is left out, and none is searched for garbage."""

import gc
import importlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def without_address_grammar() -> Iterator[None]:
    """Let jsonschema be imported in the block without `rfc3987_syntax`, as where that package is not installed.

    It compiles a grammar when it is imported, for checks of web addresses. jsonschema, which every process imports that
    reads a notebook, then does not offer these checks. Afterwards the package can be imported as always.
    """
    name = "rfc3987_syntax"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # an import of it fails
    try:
        yield
    finally:
        del sys.modules[name]


@contextmanager
def uncollected() -> Iterator[None]:
    """Do not collect garbage during the imports of a block: they make next to none, and looking for it makes
    them a fifth longer.

    What is there afterwards is taken for permanent, so that no later collection, and none when the process ends, visits
    it again.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def import_all(modules: Iterable[str]) -> None:
    """Import these modules; one that is not there is whoever's problem who uses it."""
    if missing := [module for module in modules if module not in sys.modules]:
        with uncollected():
            for module in missing:
                with suppress(ImportError):
                    importlib.import_module(module)
