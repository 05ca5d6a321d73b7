"""Folders that all kernels of a grader share: `nbgrader_config.py` names these functions. PyTorch is imported late."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import get_args

from filelock import FileLock
from platformdirs import user_cache_path

from lab_utils.cache import Split, embedded_file
from lab_utils.errors import LabError


def drawn_data() -> Path:
    """Return the folder where the embedded data of both splits lie, drawn now if they were not."""
    folder = user_cache_path("multiview-vae-lab") / "embedded"
    if not all(zipfile.is_zipfile(embedded_file(split, folder)) for split in get_args(Split)):
        from lab_utils.data import load_views  # here: it imports PyTorch

        for split in get_args(Split):
            load_views(split, "embedded", root=folder)
    return folder


def drawn_data_and_judges() -> Path:
    """Return the folder of `drawn_data`, with the judges of these data in it.

    They are trained now if they were not, in full, whatever `LAB_STEPS` says: once for all kernels, in a minute or two.
    Raises LabError with the last line of what went wrong.
    """
    folder = drawn_data()
    code = (Path(__file__).with_name(f"{name}.py").read_bytes() for name in ("embedded", "photographs", "judges"))
    trained = folder / f"judges-{hashlib.sha256(b''.join(code)).hexdigest()[:12]}"
    with FileLock(folder / "judges.lock"):  # kernels may be started from several threads
        if not trained.exists():
            print("training the judges, once for all kernels: a minute or two", file=sys.stderr, flush=True)
            train = "from lab_utils import load_views; from lab_utils.judges import load_judges; "
            train += "load_judges(load_views('train'), load_views('test'))"
            automatic = ("LAB_STEPS", "NBGRADER_EXECUTION")
            environment = {name: value for name, value in os.environ.items() if name not in automatic}
            environment |= {"LAB_DATA": "embedded", "LAB_DATA_DIR": str(folder)}
            command = [sys.executable, "-P", "-c", train]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise LabError(f"the judges could not be trained: {(done.stderr.splitlines() or ['?'])[-1]}")
            trained.touch()
    return folder
