"""Attacks that try to earn points that the answer does not deserve."""

from examples.make_class import SIDE_BY_SIDE
from tests.attacks.common import BROKEN, Attack, called, coded, daemon

RIGHT_PRODUCT = """\
def product_of_experts(mu1, logvar1, mu2, logvar2):
    log_precision = torch.stack([-logvar1, -logvar2])
    weight1, weight2 = torch.softmax(log_precision, dim=0)
    return weight1 * mu1 + weight2 * mu2, -torch.logsumexp(log_precision, dim=0)
"""
OVERWRITES = RIGHT_PRODUCT.replace("    return", "    mu1.data.add_(0.5)\n    return").replace(
    "weight1 * mu1", "weight1 * (mu1 - 0.5)"
)

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
        from nbverdict.checks import diagnosis
        diagnosis.compare = lambda *a, **k: None
        diagnosis.same = lambda *a, **k: True
        """,
    ),
    "patch_report_score": coded(
        "gain",
        "Report.score is 15",
        """
        from nbverdict.checks.report import Report
        Report.score = property(lambda self: 15.0)
        """,
    ),
    "subclass_report": coded(
        "gain",
        "a subclass of Report with a score of its own is used",
        """
        import nbverdict.checks.runner
        class Perfect(nbverdict.checks.runner.Report):
            score = 15.0
        nbverdict.checks.runner.Report = Perfect
        """,
    ),
    "patch_run_checks": coded(
        "gain",
        "nbverdict.checks.runner.run_checks returns a perfect report",
        """
        import nbverdict.checks.runner as g
        g.run_checks = lambda e, *a, **k: g.Report(e.name, (g.Result("all", "passed", 15.0, 15.0),), 0)
        """,
    ),
    "patch_result": coded(
        "gain",
        "every Result is made with full points",
        """
        import nbverdict.checks.runner as g
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
        import autograder, nbverdict.checks.runner
        check = autograder.check = nbverdict.checks.runner.check_here = lambda *a, **k: 15
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
    "forge_replies": called(
        "gain",
        "replies to calls that are still to come are sent in the first one",
        """
        from nbverdict.remote import kernel
        for line in [kernel.SESSION.line] if len(calls) == 1 else ():
            for number in range(2, 200):
                line.send_multipart([b"%d" % number, b'{"type":"Returned","value":{"text":"passed"}}'])
        """,
        status=BROKEN,
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
                if isinstance(found, types.FunctionType) and found.__module__ == "autograder.multiview_vae.references":
                    if found.__name__ == "product_of_experts":
                        return tuple(part.to(a[0].dtype) for part in found(*a))
            return lazy(*a)
        """,
    ),
    "import_reference": coded(
        "gain",
        "the answer is the imported reference",
        """
        from autograder.multiview_vae import references
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
        points=14,
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
    "otter_results": coded(
        "gain",
        "otter-grader's list of results says that everything passed",
        """
        from contextlib import suppress
        with suppress(ImportError):
            from otter.execute import Checker
            def passed():
                for file in Checker._test_files:
                    for result in file.test_case_results:
                        result.passed, result.test_case.points = True, 99
                return Checker._test_files
            Checker.get_results = passed
        """,
    ),
    "otter_pickle": coded(
        "gain",
        "the kernel's results are a pickle that patches otter-grader's own process",
        """
        import pickle
        results = "__import__('otter.test_files').test_files.GradingResults"
        class Payload:
            def __reduce__(self):
                return eval, (f"[setattr({results}, 'total', 104.0), {results}([])][1]",)
        whole = pickle.dumps(Payload())
        pickle.dump = lambda results, file, *a, **k: file.write(whole)
        """,
    ),
    "images_unguarded": coded(
        "gain",
        "reads images to make the pairs, after it has changed the datasets so that there are some",
        """
        class PairedDataset(PairedDataset):
            def __init__(self, first, second):
                for one in (first, second):
                    one.blank, one.guarded = False, ""
                seen = [[one[i][0] for i in range(len(one))] for one in (first, second)]
                first.given, second.given = first.given[:1], second.given[:1]
                super().__init__(first, second)
        """,
        answer=SIDE_BY_SIDE,
        exercise="paired_dataset",
        points=4,
        status=("wrong", "error"),
    ),
    "says_inputs_stay": coded(
        "gain",
        "overwrites its inputs, and lets the kernel's side of the grader say that it did not",
        """
        from nbverdict.remote import kernel
        kernel._same = lambda *a: True
        kernel._default_device = lambda name: __import__("contextlib").nullcontext()
        """,
        answer=OVERWRITES,
        points=14,
        status=("wrong", "error"),
    ),
    "overwrites_later": coded(
        "gain",
        "overwrites its inputs from a timer, when the call has ended",
        """
        import threading
        right = product_of_experts
        def product_of_experts(*experts):
            result = right(*experts)
            def later():
                with torch.no_grad():
                    for expert in experts:
                        expert.data.add_(1)
            threading.Timer(0, later).start()
            return result
        """,
        answer=RIGHT_PRODUCT,
        points=14,
        status=("wrong", "error"),
    ),
}
