"""What makes imports shorter: one is left out, and none is searched for garbage."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
