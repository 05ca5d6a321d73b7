"""Results of two made-up students."""

from nbverdict.checks.report import Finding, Result
from nbverdict.classroom.results import Outcome, Submission
from support.classes import EACH

FINDING = Finding("0", "1", "", "a <script>", "no")


CHECKS = (
    Result("good", "passed", 2, 2),
    Result("bad <b>", "wrong", 0, 1, str(FINDING), FINDING),
)


CLASS = [
    Submission(
        "=cmd",
        "d",
        (
            Outcome("pairs", "wrong", 2, 12, CHECKS, seed=3),
            Outcome("product", "died", 0, 15, (Result("one", "died", 0, 15, "It ended."),), seed=4),
            Outcome("entropy", "missing", 0, 15, problem="3_entropy.ipynb was not handed in."),
        ),
    ),
    Submission("zoe", "d", tuple(Outcome(name, "passed", points, points) for name, points in EACH.items())),
]
