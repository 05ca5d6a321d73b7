"""What the text of a notebook tells of an error: names that were given away, imports that are gone, another name.

Only text is read here, by the grader; nothing is asked of the student's process.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from nbformat import NotebookNode


class Handed(NamedTuple):
    """What the release gives to a student: imports, and functions or classes to fill in."""

    imports: dict[str, str]  # name -> the statement that imports it
    parameters: dict[str, int]  # function -> how many parameters it has; -1 for a class


def given_by(cells: Iterable[NotebookNode]) -> Handed:
    """Return what the cells of a release give."""
    handed = Handed({}, {})
    for _, statement in _statements(cells):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            handed.imports.update(dict.fromkeys(_imported(statement), ast.unparse(statement)))
        elif isinstance(statement, ast.FunctionDef | ast.ClassDef):
            handed.parameters[statement.name] = _parameters(statement)
    return handed


def why(error: str, cells: Sequence[NotebookNode], handed: Handed) -> str:
    """Return a sentence on the cause of an error that an answer raised, or nothing.

    `error` names the exception and shows the line in which it was raised.
    """
    if found := re.search(r"NameError: name '(\w+)' is not defined", error):
        name, line = found[1], handed.imports.get(found[1])
        if line and not any(name in _bound(one) for _, one in _statements(cells)):
            return f"The line `{line}` of the release is gone: put its cell back."
        return ""
    line = error.partition(" of its cell: ")[2]
    for number, statement in _statements(cells):
        for name in _bound(statement):
            imports = isinstance(statement, ast.Import | ast.ImportFrom)
            if name in handed.imports and not imports and re.search(rf"\b{name}\b", line):
                module = handed.imports[name].partition("import ")[2].partition(" as ")[0]
                text = ast.unparse(statement).splitlines()[0][:60]
                return f"{name} is no longer {module}: cell {number} gave the name to something else, `{text}`."
    return ""


def other_name(wanted: str, cells: Sequence[NotebookNode], handed: Handed) -> str:
    """Return a sentence on the one function or class that may be meant where `wanted` is missing, or nothing."""
    if wanted not in handed.parameters:
        return ""
    own = {
        statement.name: _parameters(statement)
        for _, statement in _statements(cells)
        if isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name not in handed.parameters
    }
    number = handed.parameters[wanted]
    fitting = [name for name, count in own.items() if count == number]
    if len(fitting) != 1:
        return ""
    what = "a class, too" if number < 0 else "which takes as many parameters"
    return f"You defined {fitting[0]}, {what}. Should it be called {wanted}?"


def _statements(cells: Iterable[NotebookNode]) -> Iterator[tuple[int, ast.stmt]]:
    """Yield the statements at the top of each code cell, with the number of the cell among those of code."""
    code = (cell for cell in cells if cell.cell_type == "code")
    for number, cell in enumerate(code, 1):
        try:
            yield from ((number, statement) for statement in ast.parse(_python(cell.source)).body)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue


def _python(source: str) -> str:
    """Return the source of a cell without IPython's own lines."""
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())


def _imported(statement: ast.Import | ast.ImportFrom) -> list[str]:
    return [alias.asname or alias.name.partition(".")[0] for alias in statement.names]


def _bound(statement: ast.stmt) -> list[str]:
    """Return the names that a statement at the top of a cell gives."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return _imported(statement)
    if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return [statement.name]
    return [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def _parameters(statement: ast.FunctionDef | ast.ClassDef) -> int:
    if isinstance(statement, ast.ClassDef):
        return -1
    return len(statement.args.posonlyargs) + len(statement.args.args)
