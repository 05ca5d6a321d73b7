"""The table of exercises: what is called, what it is worth, and where its checks are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True)
class Exercise:
    """One graded stub. `name` is also the `grade_id` of its graded cell and the fixture its checks call."""

    name: str
    answer: str  # the function or class a student writes
    notebook: str
    points: int  # the sum over its checks, and the points of its graded cell
    constructs: bool = False  # calling it makes an object that is asked for its length and items
    seconds: float = 10.0  # limit for one call of the answer, in wall-clock seconds
    total_seconds: float = 120.0  # ... and for all calls together

    @property
    def checks(self) -> Path:
        """The pytest file that grades the answer."""
        return Path(__file__).parent / "checks" / f"{self.name}.py"


EXERCISES: Mapping[str, Exercise] = MappingProxyType(
    {
        exercise.name: exercise
        for exercise in (
            Exercise("paired_dataset", "PairedDataset", "1_paired_dataset", points=12, constructs=True),
            Exercise("product_of_experts", "product_of_experts", "2_product_of_experts", points=15),
            Exercise("vae_loss", "vae_loss", "3_multiview_vae", points=15),
        )
    }
)


def find(name: str) -> Exercise:
    """Return the exercise of that name; ValueError lists the names there are."""
    try:
        return EXERCISES[name]
    except (KeyError, TypeError):
        raise ValueError(f"no exercise is called {name!r}; the exercises are {', '.join(EXERCISES)}") from None
