"""Answers to the exercise `product` of `classes.py`, as functions."""

import numpy as np

from support.classes import ANSWERS, AVERAGED

NAMES = {"np": np}
exec(ANSWERS["product"], NAMES)
right = NAMES["product"]
exec(AVERAGED, NAMES)
averaged = NAMES["product"]
