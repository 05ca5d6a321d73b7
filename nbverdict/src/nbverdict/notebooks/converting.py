"""Assert cells of an nbgrader course become check files, which are run outside the student's process.

A cell is converted where it only calls one answer and compares what that returns: such asserts mean the same in both
places. Everything else is left as it is, and named with the reason. Nothing is guessed.
"""

import argparse
import ast
import builtins
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from nbverdict.checks.assignments import CHECKS
from nbverdict.notebooks.release import graded_cells_of, is_graded_code

_MODULES = ("math", "numpy", "pandas", "fractions", "decimal", "datetime", "collections")
# Of what the standard library offers without an import, what neither reads, prints nor executes anything.
_HARMLESS = (
    *("abs", "all", "any", "bool", "bytes", "complex", "dict", "divmod", "enumerate", "float", "frozenset", "hash"),
    *("hasattr", "int", "isinstance", "len", "list", "max", "min", "pow", "range", "repr", "reversed", "round", "set"),
    *("sorted", "str", "sum", "tuple", "type", "zip"),
)


class Converted(NamedTuple):
    """One graded cell: the text of its check file, or the reason why it was left."""

    name: str  # its grade_id
    answer: str
    text: str
    reason: str


class _Left(Exception):
    """A cell cannot be converted; the message says why."""


def convert(options: argparse.Namespace) -> int:
    """Run the command with its options; return 0 if all graded cells were converted, 1 if some were left."""
    path: Path = options.notebook
    try:
        book = nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat raises a dozen kinds
        print(f"error: {path} cannot be read as a notebook: {error}", file=sys.stderr)
        return 2
    folder = path.resolve().parents[2] / CHECKS / path.resolve().parent.name
    found = list(converted(book))
    if not found:
        print(f"error: {path} has no graded code cell", file=sys.stderr)
        return 2
    left = [one for one in found if one.reason]
    for one in found:
        file = folder / f"{one.name}.py"
        if one.reason:
            print(f"left: {one.name}: {one.reason}")
        elif file.exists():
            left.append(one)
            print(f"left: {one.name}: {file} is there already")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(one.text, encoding="utf-8")
            print(f'wrote {file}; its cell must now be the line: check("{one.name}", {one.answer})')
            if options.in_place:
                cell = next(c for c in book.cells if c.metadata.get("nbgrader", {}).get("grade_id") == one.name)
                cell.source = f'check("{one.name}", {one.answer})'
    if options.in_place and len(left) < len(found):
        nbformat.write(book, path)
        print(f"{path}: its cells have these lines now. Add `from nbverdict import check` to its imports.")
    return 1 if left else 0


def converted(notebook: NotebookNode) -> Iterator[Converted]:
    """Yield what becomes of each graded code cell of an instructor's notebook."""
    answers = {name for cell in notebook.cells if _is_answer(cell) for name in _defined(cell)}
    imports = dict(pair for cell in notebook.cells if not is_graded_code(cell) for pair in _imports(cell))
    for cell in graded_cells_of(notebook, ""):
        try:
            yield Converted(cell.name, *_check(cell.name, cell.points, cell.source, answers, imports), "")
        except _Left as left:
            yield Converted(cell.name, "", "", str(left))


def _is_answer(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and bool(cell.metadata.get("nbgrader", {}).get("solution"))


def _statements(cell: NotebookNode) -> list[ast.stmt]:
    if cell.cell_type != "code":
        return []
    try:
        return list(ast.parse(cell.source).body)
    except SyntaxError:  # a line of IPython's own
        return []


def _defined(cell: NotebookNode) -> list[str]:
    return [node.name for node in _statements(cell) if isinstance(node, ast.FunctionDef)]


def _imports(cell: NotebookNode) -> Iterator[tuple[str, str]]:
    """Yield the names that a cell imports from modules that a check may use, each with its statement."""
    for node in _statements(cell):
        if isinstance(node, ast.Import | ast.ImportFrom) and _is_known(node):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0], ast.unparse(node)


def _is_known(node: ast.Import | ast.ImportFrom) -> bool:
    modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    return all(module.partition(".")[0] in _MODULES for module in modules)


def _check(name: str, points: float, source: str, answers: set[str], imports: dict[str, str]) -> tuple[str, str]:
    """Return the answer that a cell asks for, and the text of its check file; raise _Left if it cannot be converted."""
    if not name.isidentifier():
        raise _Left(f"{name!r} cannot be the name of a check file; give the cell another ID")
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise _Left(f"it is no plain Python: {error.msg} in line {error.lineno}") from None
    known, called, used = set(_HARMLESS), set[str](), set[str]()
    for node in body:
        match node:
            case ast.Import() | ast.ImportFrom() if _is_known(node):
                known |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
                continue
            case ast.Assign(targets=[ast.Name(id=target)]) if target not in answers:
                inner = {target}
            case ast.Assert():
                inner = set()
            case _:
                raise _Left(f"line {node.lineno} is no assert: {ast.unparse(node).splitlines()[0][:60]}")
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and part.lineno != part.end_lineno:
                raise _Left(f"line {node.lineno} has a text of several lines")
            if isinstance(part, ast.Lambda | ast.NamedExpr | ast.Await | ast.Yield):
                raise _Left(f"line {node.lineno} does more than call an answer and compare")
            if isinstance(part, ast.comprehension):
                known |= {one.id for one in ast.walk(part.target) if isinstance(one, ast.Name)}
        for part in ast.walk(node):
            if not isinstance(part, ast.Name) or isinstance(part.ctx, ast.Store):
                continue
            if part.id in answers:
                called.add(part.id)
            elif part.id in imports and part.id not in known:
                used.add(imports[part.id])
            elif part.id not in known:
                what = "is used" if hasattr(builtins, part.id) else "is not made in this cell"
                raise _Left(f"line {node.lineno}: {part.id} {what}")
        known |= inner
    if not any(isinstance(node, ast.Assert) for node in body):
        raise _Left("it has no assert")
    if len(called) != 1:
        raise _Left(f"it calls {len(called) or 'no'} answers ({', '.join(sorted(called))}), and a check has one")
    (answer,) = called
    statements = "\n".join(ast.get_source_segment(source, node) or "" for node in body)
    return answer, _CHECK.format(
        name=name,
        answer=answer,
        points=f"{points:g}",
        imports="".join(f"{line}\n" for line in sorted(used)) + "\n" * bool(used),
        statements=textwrap.indent(statements, "    "),
    )


_CHECK = '''"""The checks of {name}, which were assert statements in its cell."""

{imports}import pytest

EXERCISE = {{"answer": "{answer}"}}


@pytest.mark.points({points})
def test_{name}({answer}):
    """{answer} gives what is expected."""
{statements}
'''
