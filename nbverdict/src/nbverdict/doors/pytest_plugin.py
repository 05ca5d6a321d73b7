"""pytest's plugin of this package: `pytest CHECKS --answers NOTEBOOKS` runs checks with pytest's own output.

    pytest autograder/multiview_vae --answers solutions/multiview_vae
    pytest checks/smoothing/windows.py --answers submitted/ada/smoothing --verdict-seed 7

`CHECKS` are check files or folders of them, `NOTEBOOKS` a folder with the notebooks that define the answers. They are
executed as in grading, in confined kernels, and the checks are the same functions. Without `--answers` the plugin only
makes pytest know the mark `points`.
"""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import numpy as np
    import torch

    from nbverdict.checks.assignments import Exercise


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("nbverdict")
    group.addoption("--answers", metavar="NOTEBOOKS", type=Path, help="run checks on the answers in these notebooks")
    group.addoption("--verdict-seed", metavar="N", type=int, help="draw the inputs of the checks from N")


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the mark, and take checks where answers are given."""
    config.addinivalue_line("markers", "points(n): what passing this check earns")
    if (answers := config.getoption("answers")) is not None:
        if not answers.is_dir():
            raise pytest.UsageError(f"--answers {answers} is not a folder of notebooks")
        seed = config.getoption("verdict_seed")
        config.pluginmanager.register(_Answers(answers, secrets.randbits(32) if seed is None else seed))


class _Answers:
    """Collects check files, and gives their functions the answers and inputs that they ask for."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed

    def pytest_report_header(self) -> str:
        """Say how to repeat the run."""
        return f"nbverdict: answers of {self._folder}, --verdict-seed {self._seed}"

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
        """Collect a check file, whatever its name."""
        exercise = _exercise(file_path)
        if exercise is None:
            return None
        provided = ModuleType(f"answer to {exercise.name}")
        for name in (exercise.name, exercise.answer):
            setattr(provided, name, self._fixture(name))
        if not parent.config.pluginmanager.has_plugin(provided.__name__):
            parent.config.pluginmanager.register(provided, provided.__name__)
        if parent.session.isinitpath(file_path):
            return None  # pytest itself collects a file that is named
        module: pytest.Module = pytest.Module.from_parent(parent, path=file_path)
        return module

    def _fixture(self, name: str) -> Any:
        folder = self._folder

        @pytest.fixture(scope="module", name=name)
        def answer(request: pytest.FixtureRequest) -> Iterator[Any]:
            exercise = _exercise(request.path)  # another exercise may ask for an answer of this name
            assert exercise is not None
            with _answer(exercise, folder) as found:
                yield found

        return answer

    @pytest.fixture
    def rng(self, request: pytest.FixtureRequest) -> "np.random.Generator":
        """NumPy's generator for the inputs of a check."""
        from nbverdict.checks import runner

        return runner.rng(self._seed_of(request))

    @pytest.fixture
    def generator(self, request: pytest.FixtureRequest) -> "torch.Generator":
        """PyTorch's generator for the inputs of a check."""
        from nbverdict.checks import runner

        return runner.generator(self._seed_of(request))

    def _seed_of(self, request: pytest.FixtureRequest) -> int:
        from nbverdict.checks import runner

        exercise = _exercise(request.path)
        assert exercise is not None
        values = getattr(getattr(request.node, "callspec", None), "params", {})
        asked = request.function.__name__, repr(dict(sorted(values.items())))
        known = [(check.name, repr(dict(sorted(check.given.items())))) for check in runner.checks_of(exercise)]
        return runner.seed_of(self._seed, known.index(asked))


def _exercise(path: Path) -> "Exercise | None":
    from nbverdict.checks.assignments import Assignment

    if path.suffix != ".py":
        return None
    return Assignment(path.parent.name, path.parent).exercises.get(path.stem)


@contextlib.contextmanager
def _answer(exercise: "Exercise", folder: Path) -> Iterator[Any]:
    """Execute the notebook with the graded cell of an exercise as far as that cell, and yield the answer in it."""
    import nbformat

    from nbverdict.checks.assignments import Assignment
    from nbverdict.configuration import course_configuration
    from nbverdict.notebooks.execute import ExecuteOutside
    from nbverdict.notebooks.release import graded_cells_of
    from nbverdict.notebooks.repair import Unreadable, read

    assignment = Assignment(exercise.checks.parent.name, exercise.checks.parent)
    for path in sorted(folder.glob("*.ipynb")):
        try:
            notebook = nbformat.v4.new_notebook(cells=read(path)[0])
        except Unreadable as error:
            raise pytest.UsageError(str(error)) from None
        if exercise.name not in [cell.name for cell in graded_cells_of(notebook, path.stem)]:
            continue
        executor = ExecuteOutside(notebook, assignment, course_configuration(folder.resolve().parent.parent))
        with contextlib.closing(executor.graded_cells(folder)) as cells:
            for cell, _ in cells:
                if cell.metadata.nbgrader.grade_id == exercise.name:
                    yield executor.answer_to(exercise)
                    return
    raise pytest.UsageError(f"no notebook in {folder} has a graded cell {exercise.name!r}")
