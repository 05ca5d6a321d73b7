"""Where files are kept; nothing here imports PyTorch."""

import hashlib
import os
from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path

Split = Literal["train", "test"]


def cache_folder(root: str | Path | None = None) -> Path:
    """Return the folder for files: `root`, else `LAB_DATA_DIR`, else the user's cache folder."""
    return Path(root or os.environ.get("LAB_DATA_DIR") or user_cache_path("multiview-vae-lab")).expanduser()


def embedded_file(split: Split, folder: Path) -> Path:
    """Return where the embedded data of a split are kept in a folder; the name follows from the code that draws."""
    drawn_by = hashlib.sha256(Path(__file__).with_name("embedded.py").read_bytes()).hexdigest()[:12]
    return folder / f"embedded-{split}-{drawn_by}.npz"
