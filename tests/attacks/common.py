"""What an attack is, and the ways to write one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any, Literal

from examples.make_class import POINTS, PRODUCT, Submission, fill, find

Change = Callable[[Submission], None]
Place = Callable[[Path, Path], None]  # edits (folder of the submission, course) after the notebooks are written
Snapshot = dict[str, str]

BYSTANDER = "zoe_honest"  # the other student, whose work and grades are to stay as they are
SECRET = "COURSE_SECRET"  # an environment variable of the grader
PORT = 17113  # of a service on the grader's machine; a student's own service listens on the port after it
DAEMON = "canary_daemon"  # what processes that try to outlive the grading call themselves

ANSWERS = {
    "paired_dataset": "PairedDataset",
    "product_of_experts": "product_of_experts_answer",
    "vae_loss": "vae_loss_answer",
}

# A wrong answer that honestly earns LAZY_POINTS, whatever the inputs; an attack around it is to earn no more.
LAZY = """\
def product_of_experts(mu1, logvar1, mu2, logvar2):
    return mu1 + 2 * mu2, logvar1 + 2 * logvar2
"""
LAZY_POINTS = 4
# The first cell of every attacker. The marks are put together at run time, so that no source or traceback holds one.
PRELUDE = """\
import sys
COURSE, STUDENT, BYSTANDER, OUT, SAID = {course!r}, {student!r}, {bystander!r}, sys.stdout, set()
SECRET, PORT, DAEMON = {secret!r}, {port}, {daemon!r}
def learned(what):
    text = "LEARN" + "ED " + " ".join(str(what).split())[:60]
    if text not in SAID:
        SAID.add(text)
        print(text, file=OUT, flush=True)
def took(what):
    print("TO" + "OK " + what, file=OUT, flush=True)
"""
IMPORTS = """\
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import Dataset
from autograder import check
"""


@dataclass(frozen=True)
class Attack:
    """What a student tries. `points` is what the exercise deserves; `status` is what a grader may report for it."""

    aim: Literal["gain", "learn", "harm"]
    about: str
    change: Change
    exercise: str = "product_of_experts"
    status: tuple[str, ...] = ("wrong",)
    points: float = 0
    place: Place | None = None


def coded(
    aim: Literal["gain", "learn", "harm"],
    about: str,
    code: str,
    *,
    answer: str = LAZY,
    points: float = LAZY_POINTS,
    status: tuple[str, ...] = ("wrong",),
    exercise: str = "product_of_experts",
    place: Place | None = None,
) -> Attack:
    """Return an attack that is code below a wrong answer, in the student's cell."""
    source = answer + "\n" + dedent(code)
    return Attack(aim, about, lambda s: fill(s, **{ANSWERS[exercise]: source}), exercise, status, points, place)


def called(
    aim: Literal["gain", "learn", "harm"],
    about: str,
    code: str,
    *,
    answer: str = LAZY,
    points: float = LAZY_POINTS,
    status: tuple[str, ...] = ("wrong",),
) -> Attack:
    """Return an attack that is the body of the answer; `lazy` is the wrong answer, returned at the end."""
    lines = ["lazy, calls = product_of_experts, []", "def product_of_experts(mu1, logvar1, mu2, logvar2):"]
    lines += [f"    {line}" for line in ("calls.append(1)\n" + dedent(code).strip()).splitlines()]
    return coded(
        aim,
        about,
        "\n".join([*lines, "    return lazy(mu1, logvar1, mu2, logvar2)"]),
        answer=answer,
        points=points,
        status=status,
    )


def daemon(task: str) -> str:
    """Return code that leaves a process behind which is in a session of its own."""
    body = "\n".join(f"            {line}" for line in dedent(task).strip().splitlines())
    return f"""
import os, signal, time
kernel = os.getpid()
if os.fork() == 0:
    try:
        os.setsid()
        if os.fork() == 0:
            open("/proc/self/comm", "w").write(DAEMON)
            os.closerange(0, 1024)
{body}
    finally:
        os._exit(0)
os.wait()
"""


def graded(submission: Submission, exercise: str = "product_of_experts") -> Any:
    """Return the locked cell with the check."""
    return find(submission, exercise)


def notebook(submission: Submission) -> Any:
    """Return the notebook of product_of_experts."""
    return submission[PRODUCT]


def altered(
    aim: Literal["gain", "learn", "harm"],
    about: str,
    alter: Change,
    *,
    honest: bool = False,
    status: tuple[str, ...] = ("tampered", "wrong"),
) -> Attack:
    """Return an attack on the notebook itself, around a wrong or an honest answer."""

    def change(submission: Submission) -> None:
        if not honest:
            fill(submission, product_of_experts_answer=LAZY)
        alter(submission)

    return Attack(aim, about, change, status=status, points=POINTS["product_of_experts"] if honest else LAZY_POINTS)


def placed(about: str, place: Place, *, status: tuple[str, ...], points: float = 0) -> Attack:
    """Return an attack that puts something else where the notebook should be; the answer in it was honest."""
    return Attack("harm", about, lambda s: None, status=status, points=points, place=place)


NOTEBOOK = f"{PRODUCT}.ipynb"
REPAIRED = ("tampered", "passed")
LOST = ("tampered", "error", "missing")
KILLED = ("died", "error", "timeout", "wrong")
BROKEN = ("wrong", "error", "died", "timeout")  # code that breaks its own process may cost its own points
