"""Take a definition from another notebook without running the rest of it."""

import ast
import linecache
from pathlib import Path
from typing import Any

import nbformat
from IPython.core.inputtransformer2 import TransformerManager


class NotebookError(RuntimeError):
    """A notebook does not give the definition; the message says which notebook, why, and what to do."""


def load_definition(notebook: str | Path, name: str) -> Any:
    """Return the function or class `name` of a notebook in the current folder (or at a path).

    Runs only the notebook's imports, its functions and classes, and its assignments of plain constants: no training,
    no figures, no downloads. The last definition of a name counts, as it does when a notebook runs from top to bottom.

    Raises NotebookError if there is no such notebook, it cannot be read or run, or it does not define the name.
    """
    path = Path(notebook)
    try:
        cells = nbformat.read(path, as_version=4).cells
    except FileNotFoundError:
        here = Path.cwd()
        raise NotebookError(f"{path} is not in {here}. Keep the notebooks of the lab in one folder.") from None
    except Exception as error:  # nbformat raises many kinds: JSON, schema, encoding
        raise NotebookError(f"{path} is not a readable notebook: {error}") from error
    namespace: dict[str, Any] = {"__name__": path.stem}
    for number, cell in enumerate(cells):
        if cell.cell_type != "code":
            continue
        where = f"{path.name}[cell {number}]"
        try:
            tree = ast.parse(TransformerManager().transform_cell(cell.source), where)
        except SyntaxError as error:
            raise NotebookError(
                f"{where} has a syntax error: {error}. Mend it there, save, and run this again."
            ) from error
        tree.body = [node for node in tree.body if _defines(node)]
        # So that tracebacks and `inspect` show the student's own lines.
        linecache.cache[where] = (len(cell.source), None, cell.source.splitlines(keepends=True), where)
        try:
            exec(compile(tree, where, "exec"), namespace)
        except Exception as error:
            raise NotebookError(f"{where} raised {type(error).__name__}: {error}. Mend it there, save.") from error
    if name not in namespace:
        raise NotebookError(f"{path} does not define {name}. Write it there, save the notebook, and run this again.")
    return namespace[name]


def _defines(node: ast.stmt) -> bool:
    """Return whether a statement only defines something: an import, a function, a class, a constant."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return True
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        try:
            ast.literal_eval(node.value)
        except (ValueError, TypeError):
            return False
        return True
    return False
