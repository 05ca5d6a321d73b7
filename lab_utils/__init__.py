"""What the notebooks use and nobody grades: data, figures, training helpers and metrics."""

from lab_utils.data import load_views
from lab_utils.definitions import load_definition

__all__ = ["load_definition", "load_views"]
