"""Run by `pytest --nbval solutions`: train a few steps only, on data that needs no download."""

import os

os.environ.setdefault("LAB_STEPS", "2")
os.environ["LAB_DATA"] = "embedded"
