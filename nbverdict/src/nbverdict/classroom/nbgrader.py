"""How nbgrader calls this package: steps and converters of its own that do our work."""

from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor

from nbverdict.checks.report import Report
from nbverdict.notebooks.execute import ExecuteOutside
from nbverdict.notebooks.release import assignment_of


class JudgeOutside(NbGraderPreprocessor):  # type: ignore[misc]  # nbgrader has no types
    """Takes the place of nbgrader's execution. After `preprocess`, `reports` has the report of each graded cell."""

    reports: dict[str, Report]

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Execute a notebook in a confined kernel, and judge its graded cells from this process."""
        # nbgrader converts notebooks in the folder of the course.
        assignment = assignment_of(Path.cwd(), resources["nbgrader"]["assignment"])
        executor = ExecuteOutside(nb, assignment, self.config)
        executor.run(Path(resources["metadata"]["path"]))
        self.reports = executor.reports
        return nb, resources
