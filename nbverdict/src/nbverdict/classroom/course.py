"""A course as it is configured: its folder, an assignment that it has released, its students, its gradebook."""

from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.coursedir import CourseDirectory

from nbverdict.checks.assignments import AssignmentError
from nbverdict.classroom.nbgrader import keep_engine
from nbverdict.classroom.releases import graded_cells
from nbverdict.configuration import (
    CONFIG_FILE,
    GRADES,
    Configuration,
    read_configuration,
)
from nbverdict.confinement.layers import Confinement
from nbverdict.confinement.provisioner import ConfinedProvisioner, start_warm
from nbverdict.imports import import_all
from nbverdict.notebooks.execute import option
from nbverdict.notebooks.locating import unusable
from nbverdict.notebooks.refusing import refuse_other_checkout, refuse_unknown
from nbverdict.notebooks.release import assignment_of, refuse_unchecked


class CourseError(RuntimeError):
    """The course cannot be graded at all; the message says what is missing and what to do."""


class Course:
    """A folder with an `nbgrader_config.py`: what is configured there, and its gradebook.

    `seed` repeats the inputs that an earlier run drew; `configuration` is that of the folder, if it was read.

    Raises CourseError if the folder has no configuration, ConfigurationError if that cannot be used, and
    ConfinementError if every layer of confinement is required and this machine lacks one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seed: int | None = None,
        require_confinement: bool = False,
        configuration: Configuration | None = None,
    ) -> None:
        read = configuration or read_configuration(folder)
        if read is None:
            raise CourseError(f"{folder / CONFIG_FILE} is missing. Run this in the folder of the course.")
        self.folder = folder
        self.config, self.config_files = read
        refuse_unknown(self.config)
        refuse_other_checkout(folder)
        if seed is not None:
            self.config.ExecuteOutside.seed = seed
        if require_confinement:
            self.config.ConfinedProvisioner.require = True
        keep_engine()
        self.coursedir = CourseDirectory(config=self.config)
        self.confinement: Confinement = ConfinedProvisioner(config=self.config).confinement
        if require_confinement:
            self.confinement.require_all()

    def gradebook(self) -> Gradebook:
        """Return nbgrader's gradebook, a context manager."""
        return Gradebook(self.coursedir.db_url, self.coursedir.course_id)


class AssignmentRun:
    """One released assignment of a course, its students and where they are, for a command that works on it.

    `note` is kept with each grade that changes.

    Raises CourseError if the assignment is not released, or cannot be graded.
    """

    def __init__(self, course: Course, assignment_name: str, *, note: str = "") -> None:
        self.course, self.assignment_name, self.note = course, assignment_name, note
        self.published = course.folder / GRADES / assignment_name
        with course.gradebook() as gradebook:
            try:
                gradebook.find_assignment(assignment_name)
            except MissingEntry:
                released = ", ".join(sorted(a.name for a in gradebook.assignments)) or "none"
                raise CourseError(
                    f"no assignment is called {assignment_name!r} (released: {released}). "
                    f"Run `nbgrader generate_assignment {assignment_name}` first."
                ) from None
        try:
            self.assignment = assignment_of(Path(course.coursedir.root), assignment_name)
            self.cells = graded_cells(course.coursedir, assignment_name)
            refuse_unchecked(self.assignment, self.cells, stock=bool(option(course.config, "stock")))
        except AssignmentError as error:
            raise CourseError(str(error)) from None

    def prepare(self) -> None:
        """Import what executing submissions needs, while the process that kernels are forked from does so, too."""
        start_warm(self.course.config)
        import_all(self.assignment.imports)

    def folder(self, step: str, student: str) -> Path:
        """Return nbgrader's folder of a student; `step` is for example `coursedir.feedback_directory`."""
        return Path(self.course.coursedir.format_path(step, student, self.assignment_name))

    def submitted(self, student: str) -> Path:
        """Return the folder of what a student handed in."""
        return self.folder(self.course.coursedir.submitted_directory, student)

    def students(self) -> list[str]:
        """Return the students who have a folder for the assignment, sorted, without those of `unusable_names`."""
        return [name for name in self._folders() if not unusable(name)]

    def unusable_names(self) -> list[str]:
        """Return a line for each folder that cannot be graded because of its name: rename it."""
        found = ((name, unusable(name)) for name in self._folders())
        return [f"{name!a}: {why}. Rename this folder" for name, why in found if why]

    def _folders(self) -> list[str]:
        root = Path(self.course.coursedir.format_path(self.course.coursedir.submitted_directory, ".", "."))
        return sorted(path.parent.name for path in root.glob(f"*/{self.assignment_name}") if path.is_dir())
