"""Take a definition from another notebook without running the rest of it."""

import ast
import linecache
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from lab_utils.errors import LabError
from nbverdict.imports import without_address_grammar

with without_address_grammar():
    import nbformat


# The notebooks that a call has run, its own and those that they take something from: each once.
_running: ContextVar[dict[Path, tuple[dict[str, Any], set[str]]] | None] = ContextVar("running", default=None)


class NotebookError(LabError, RuntimeError):
    """A notebook does not give the definition; the message says which notebook, why, and what to do."""

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the message names the place, which no line of ours would."""
        return [f"{type(self).__name__}: {self}"]


def load_definition(notebook: str | Path, name: str) -> Any:
    """Return the function or class `name` of a notebook in the current folder (or at a path).

    Runs only the notebook's imports, its functions and classes, its assignments of plain constants, and what it takes
    from other notebooks in the same way: no training, no figures, no downloads. The last definition of a name counts,
    as it does when a notebook runs from top to bottom.

    Raises NotebookError if there is no such notebook, it cannot be read or run, or it does not define the name, or the
    definition is still the stub that was handed out.
    """
    running = _running.get()
    if running is None:
        token = _running.set({})
        try:
            return load_definition(notebook, name)
        finally:
            _running.reset(token)
    path = Path(notebook)
    key = path.resolve()
    if key not in running:
        running[key] = _run(path)
    namespace, stubs = running[key]
    if name not in namespace:
        raise NotebookError(f"{path} does not define {name}. Write it there, save the notebook, and run this again.")
    if name in stubs:
        raise NotebookError(f"{name} is not written yet in {path}. Write it there, save it, and run this again.")
    return namespace[name]


def _run(path: Path) -> tuple[dict[str, Any], set[str]]:
    """Run what a notebook defines; return its names, and those whose last definition is the stub."""
    try:
        cells = nbformat.read(path, as_version=4).cells
    except FileNotFoundError:
        raise NotebookError(f"{path} is not in {Path.cwd()}. Keep the notebooks where you were given them.") from None
    except Exception as error:  # nbformat raises many kinds: JSON, schema, encoding
        raise NotebookError(f"{path} is not a readable notebook: {error}") from error
    namespace: dict[str, Any] = {"__name__": path.stem}
    stubs: set[str] = set()
    for number, cell in enumerate(cells):
        if cell.cell_type != "code":
            continue
        where = f"{path.name}[cell {number}]"
        try:
            tree = _parse(cell.source, where)
        except SyntaxError as error:
            raise NotebookError(
                f"{where} has a syntax error: {error}. Mend it there, save, and run this again."
            ) from error
        tree.body = [_beside(path, node) for node in tree.body if _defines(node)]
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                (stubs.add if _is_stub(node) else stubs.discard)(node.name)
        # So that tracebacks and `inspect` show the student's own lines.
        linecache.cache[where] = (len(cell.source), None, cell.source.splitlines(keepends=True), where)
        try:
            exec(compile(tree, where, "exec"), namespace)
        except NotebookError:  # of a notebook that this one takes something from
            raise
        except Exception as error:
            raise NotebookError(f"{where} raised {type(error).__name__}: {error}. Mend it there, save.") from error
    return namespace, stubs


def _parse(source: str, where: str) -> ast.Module:
    """Return a cell's statements. What IPython adds to Python is no Python, and is translated only where it stands."""
    try:
        return ast.parse(source, where)
    except SyntaxError:
        return ast.parse(TransformerManager().transform_cell(source), where)


def _is_stub(node: ast.AST) -> bool:
    """Return whether a definition, or one of its methods, only raises NotImplementedError: what nbgrader hands out."""
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef) and isinstance(last := part.body[-1], ast.Raise):
            documented = isinstance(part.body[0], ast.Expr)
            if len(part.body) == 1 + documented and ast.unparse(last) == "raise NotImplementedError()":
                return True
    return False


def _defines(node: ast.stmt) -> bool:
    """Return whether a statement only defines something: an import, a function, a class, a constant."""
    if _loads(node):
        return True
    if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return True
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        try:
            ast.literal_eval(node.value)
        except (ValueError, TypeError):
            return False
        return True
    return False


def _loads(node: ast.stmt) -> bool:
    """Return whether a statement is `NAME = load_definition("NOTEBOOK", "NAME")`."""
    if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and len(node.value.args) == 2):
        return False
    plain = all(isinstance(argument, ast.Constant) for argument in node.value.args)
    return plain and ast.unparse(node.value.func) == "load_definition"


def _beside(path: Path, node: ast.stmt) -> ast.stmt:
    """Return a statement that loads from another notebook with a path that holds from here; others as they are."""
    if _loads(node):
        call: Any = getattr(node, "value", None)
        call.args[0] = ast.copy_location(ast.Constant(str(path.parent / call.args[0].value)), call.args[0])
    return node
