"""An import that takes two seconds, and that nothing here uses."""

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
