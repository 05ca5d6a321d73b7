"""What several tests share."""

import os
from pathlib import Path

# The notebooks that tests run take a single training step, on data that needs no download.
os.environ["LAB_STEPS"] = "1"
os.environ["LAB_DATA"] = "embedded"

ROOT = Path(__file__).parent.parent
SOLUTIONS = ROOT / "solutions" / "multiview_vae"
RELEASE = ROOT / "assignments" / "multiview_vae"
