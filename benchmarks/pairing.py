"""How long does it take to pair the full MNIST and SVHN by label? Sorting against a loop, in one run.

python -m benchmarks.pairing
"""

import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from lab_utils import load_definition

MNIST = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]  # published counts per digit, training splits
SVHN = [4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659]
REPEATS = 15


class Labels:
    """A dataset of which only the labels are looked at."""

    def __init__(self, counts: list[int]) -> None:
        self.labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), counts))


def loop(first: Labels, second: Labels) -> list[tuple[int, int, int]]:
    """Pair with one Python loop over each list of labels."""
    waiting = defaultdict(list)
    for j, label in enumerate(second.labels):
        waiting[int(label)].append(j)
    return [(i, waiting[int(label)].pop(), int(label)) for i, label in enumerate(first.labels) if waiting[int(label)]]


def main() -> None:
    """Print the median time of both, interleaved, and their ratio."""
    solution = Path(__file__).parent.parent / "solutions" / "multiview_vae" / "1_paired_dataset.ipynb"
    ways = {"PairedDataset": load_definition(solution, "PairedDataset"), "loop": loop}
    first, second = Labels(MNIST), Labels(SVHN)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, pair in ways.items():
            start = time.perf_counter()
            pairs = pair(first, second)
            seconds[name].append(time.perf_counter() - start)
            assert len(pairs) == 56_068
    median = {name: float(np.median(times)) for name, times in seconds.items()}
    for name, value in median.items():
        print(f"{name:14} {1000 * value:7.1f} ms")
    print(f"loop / PairedDataset = {median['loop'] / median['PairedDataset']:.1f}")


if __name__ == "__main__":
    main()
