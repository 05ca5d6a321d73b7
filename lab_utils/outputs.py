"""What a run leaves behind in the folder `LAB_RESULTS`: numbers and a checkpoint; nothing where it is not set."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab_utils.checkpoints import Checkpoint
from nbverdict.files import write_whole


def results_folder() -> Path | None:
    """Return the folder for results, or None if `LAB_RESULTS` is not set."""
    folder = os.environ.get("LAB_RESULTS")
    return Path(folder) if folder else None


def write_metrics(metrics: Mapping[str, Any]) -> None:
    """Write metrics as `metrics.json`."""
    folder = results_folder()
    if folder:
        write_whole(folder / "metrics.json", json.dumps(metrics, indent=2).encode() + b"\n")


def results_checkpoint(**settings: Any) -> Checkpoint | None:
    """Return the checkpoint of the run with these settings, `checkpoint.pt`."""
    folder = results_folder()
    return Checkpoint(folder / "checkpoint.pt", settings) if folder else None
