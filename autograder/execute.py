"""How nbgrader executes a submission: as it does by itself, except that an endless loop is waited for only once."""

from typing import Any

from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute


class ExecuteOnceOutOfTime(Execute):  # type: ignore[misc]  # nbgrader has no types
    """After a cell of a notebook ran out of time, execute only its graded cells.

    What loops in one cell mostly loops in the next ones, too; a graded cell has limits of its own.
    """

    _out_of_time = False

    def preprocess(self, nb: NotebookNode, *args: Any, **kwargs: Any) -> tuple[NotebookNode, ResourcesDict]:
        """Execute a notebook."""
        self._out_of_time = False
        result: tuple[NotebookNode, ResourcesDict] = super().preprocess(nb, *args, **kwargs)
        return result

    def preprocess_cell(
        self, cell: NotebookNode, resources: ResourcesDict, index: int
    ) -> tuple[NotebookNode, ResourcesDict]:
        """Execute a cell, or say in its output that it was not executed."""
        graded = cell.metadata.get("nbgrader", {}).get("grade", False)
        if self._out_of_time and cell.cell_type == "code" and not graded:
            cell.outputs = [new_output("stream", text="Not executed: an earlier cell ran out of time.\n")]
            return cell, resources
        cell, resources = super().preprocess_cell(cell, resources, index)
        if any(output.get("ename") == self.error_on_timeout["ename"] for output in cell.get("outputs", [])):
            self._out_of_time = True
        return cell, resources
