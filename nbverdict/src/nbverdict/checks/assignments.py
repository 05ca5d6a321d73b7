"""What an assignment and an exercise are, and where those that can be graded are found.

An assignment is a folder of checks, one pytest file for each exercise. A course keeps its own in
`checks/ASSIGNMENT/EXERCISE.py`, beside `solutions/`; an installed package names a package of such files as an entry
point of the group `nbverdict.assignments`. Nothing is imported to find them: the files are read as text.
"""

import ast
import contextlib
import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ENTRY_POINTS = "nbverdict.assignments"
CHECKS = "checks"  # folder of a course that holds a folder of checks for each of its own assignments
DECLARATION = "EXERCISE"  # the name under which a check file says how its answer is called
VALUES = "values.py"  # file beside the checks: classes of the assignment's own whose objects are sent to answers


class AssignmentError(ValueError):
    """An assignment cannot be graded as it stands; the message says which file or cell, and what to do."""


@dataclass(frozen=True)
class Exercise:
    """One graded answer. `name` is that of its check file, and the `grade_id` of its graded cell."""

    name: str
    checks: Path  # the pytest file that grades the answer
    answer: str  # the function or class that a student writes
    constructs: bool = False  # calling it makes an object that is asked for its length and items
    seconds: float = 10.0  # limit for one call of the answer, in wall-clock seconds
    total_seconds: float = 120.0  # limit for all calls together, in wall-clock seconds
    items: int = 0  # how many items a check takes of an iterator that the answer returns, at most


@dataclass(frozen=True)
class Assignment:
    """A named folder of checks."""

    name: str
    folder: Path

    @functools.cached_property
    def exercises(self) -> Mapping[str, Exercise]:
        """The exercises by name. Raises AssignmentError for a file that does not say properly what it grades."""
        found = (_exercise(path) for path in sorted(self.folder.glob("*.py")))
        return {exercise.name: exercise for exercise in found if exercise}

    @functools.cached_property
    def imports(self) -> tuple[str, ...]:
        """The packages that its files import, sorted."""
        found: set[str] = set()
        for file in sorted(self.folder.glob("*.py")):
            with contextlib.suppress(SyntaxError):  # which `exercises` tells
                for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                        names = [node.module]
                    found.update(name.partition(".")[0] for name in names)
        return tuple(sorted(found))

    @property
    def values(self) -> str:
        """The source of `values.py`, which a student's kernel is given; empty if there is none."""
        path = self.folder / VALUES
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def installed(self) -> bool:
        """Whether the checks are a package, which is installed wherever answers are executed."""
        return (self.folder / "__init__.py").exists()


def installed_assignments() -> dict[str, Assignment]:
    """Return the assignments of installed packages by name."""
    return {name: Assignment(name, folder) for name, folder in _installed_folders()}


@functools.cache
def _installed_folders() -> tuple[tuple[str, Path], ...]:
    """Looking through all installed packages takes time, and each kernel asks."""
    found = ((point.name, _package_folder(point.value)) for point in entry_points(group=ENTRY_POINTS))
    return tuple((name, folder) for name, folder in found if folder)


def assignments_in(course: Path) -> dict[str, Assignment]:
    """Return the assignments whose checks a course keeps in its own folder, by name."""
    folders = (path for path in sorted((course / CHECKS).glob("*")) if path.is_dir())
    return {folder.name: Assignment(folder.name, folder) for folder in folders if any(folder.glob("*.py"))}


def known_assignments(course: Path | None = None) -> dict[str, Assignment]:
    """Return all assignments by name: those of a course, and those of installed packages whose names it does not use.

    Without a course, the current folder or one of the two above it is taken as the course if it has checks: notebooks
    lie in `solutions/ASSIGNMENT/`.
    """
    here = Path.cwd()
    places = [course] if course else [here, *here.parents[:2]]
    own = next((found for place in places if (found := assignments_in(place))), {})
    return installed_assignments() | own


def find_exercise(name: str, course: Path | None = None) -> Exercise:
    """Return the exercise of that name from the assignments that `known_assignments(course)` returns.

    Raises ValueError if there is none, or if two assignments have one of that name, and AssignmentError for a broken
    check file.
    """
    known = known_assignments(course)
    found = [(assignment, e) for assignment in known.values() for e in assignment.exercises.values() if e.name == name]
    if len(found) > 1:
        where = " and ".join(f"{assignment.name} ({exercise.checks})" for assignment, exercise in found)
        raise ValueError(f"{name!r} is an exercise of two assignments, {where}: rename one of them")
    if not found:
        names = ", ".join(e for assignment in known.values() for e in assignment.exercises)
        if not names:
            raise ValueError(
                f"the checks of {name!r} are not on this machine: they are with your instructor, and the answer is "
                f"graded after you hand it in. (An instructor keeps them in {CHECKS}/ASSIGNMENT/{name}.py, and runs "
                "the notebook in the folder of the course.)"
            )
        raise ValueError(f"no exercise is called {name!r}; the exercises are {names}")
    return found[0][1]


def _exercise(path: Path) -> Exercise | None:
    """Return the exercise that a check file grades; None for a file without the declaration, such as a helper."""
    text = path.read_text(encoding="utf-8")
    if DECLARATION not in text:
        return None
    try:
        declared = _declared(text)
    except SyntaxError as error:
        raise AssignmentError(f"{path} has a syntax error in line {error.lineno}: {error.msg}") from None
    if not declared:
        return None
    allowed = {field.name: field.type for field in dataclasses.fields(Exercise)[2:]}
    wanted = f'{DECLARATION} = {{"answer": "NAME"}}, with any of {", ".join(list(allowed)[1:])}'
    try:
        options: dict[str, Any] = ast.literal_eval(declared[-1])
        right = "answer" in options and all(_fits(value, allowed[key]) for key, value in options.items())
    except (ValueError, TypeError, KeyError):
        right = False
    if not right:
        raise AssignmentError(f"{path} must say how its answer is called: {wanted}")
    return Exercise(path.stem, path, **options)


@functools.lru_cache(128)
def _declared(text: str) -> list[ast.expr]:
    """Return what a check file's declarations say; parsing takes longer than many a check."""
    return [node.value for node in ast.parse(text).body if isinstance(node, ast.Assign) and _declares(node)]


def _declares(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == DECLARATION for target in node.targets)


def _fits(value: object, kind: Any) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    if kind is int:
        return type(value) is int and value > 0
    return isinstance(value, kind) and value != ""


def _package_folder(name: str) -> Path | None:
    """Return the folder of a package, without importing it; None if there is no such package."""
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:  # the package above it is missing
        return None
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None
