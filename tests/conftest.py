"""What several tests share."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from autograder import kernel

# The notebooks that tests run take a single training step, on data that needs no download.
os.environ["LAB_STEPS"] = "1"
os.environ["LAB_DATA"] = "embedded"

ROOT = Path(__file__).parent.parent
SOLUTIONS = ROOT / "solutions" / "multiview_vae"
RELEASE = ROOT / "assignments" / "multiview_vae"


def asking(namespace):
    """Return an `ask` for a `KernelAnswer`: what a kernel with these names would reply, as text each way."""

    def ask(request, seconds):
        with patch.object(kernel, "get_ipython", lambda: SimpleNamespace(user_ns=namespace)):
            return json.loads(kernel.serve(json.dumps(request))._repr_mimebundle_()[kernel.MIME])

    return ask
