"""A class of hostile submissions: they try to gain points, to learn what is hidden, or to harm others.

Every attack is short, real and bounded: at most a minute, 6 GiB of memory and 1.5 GB of disk. What it harms is inside
the folder of a course made for it, whose `canary/` stands for the grader's home. `learned` and `took` in `making` find
in graded files what a submission could read and use up; `harm` finds what it changed.
"""

from tests.attacks.common import Attack
from tests.attacks.gain import GAIN
from tests.attacks.harm import HARM
from tests.attacks.learn import LEARN
from tests.attacks.tamper import TAMPER

ATTACKS: dict[str, Attack] = {**GAIN, **LEARN, **HARM, **TAMPER}
