"""What the notebooks use and nobody grades: data, figures, training helpers and metrics."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab_utils.data import load_views
    from lab_utils.definitions import load_definition

__all__ = ["load_definition", "load_views"]
_PLACES = {"load_definition": "lab_utils.definitions", "load_views": "lab_utils.data"}


def __getattr__(name: str) -> Any:
    """Import what is asked for: `lab_utils.cache` does not need PyTorch, which takes seconds."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
