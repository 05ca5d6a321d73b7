"""The verdict on one submission as one call: files in, plain data out, nothing remembered."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from traitlets.config import Config

from nbverdict.configuration import IGNORED, course_configuration
from nbverdict.confinement.provisioner import ConfinedProvisioner
from nbverdict.notebooks.execute import option
from nbverdict.notebooks.gathering import gather
from nbverdict.notebooks.locating import locate
from nbverdict.notebooks.refusing import refuse_other_checkout, refuse_unknown
from nbverdict.notebooks.release import HIDDEN, Release, assignment_of, graded_cells_in, read_releases, refuse_unchecked
from nbverdict.notebooks.repair import left_out, refuse_too_many
from nbverdict.notebooks.verdict import Outcome, Verdict
from nbverdict.notebooks.work import cores, execute


def judge(
    submission: Path,
    assignment: Path,
    *,
    seed: int | None = None,
    config: Config | None = None,
    processors: int | None = None,
) -> Verdict:
    """Execute a submission in confined kernels, judge its graded cells from this process, and return what it earned.

    `submission` is a folder, or a single notebook; it is read, and stays as it is. `assignment` is the folder of what
    was handed out: `COURSE/assignments/NAME`, with the notebooks as students get them, and perhaps `hidden.json` (see
    `nbverdict.notebooks.release.read_releases`). The checks lie in `COURSE/checks/NAME/`, or are installed. Options are
    those of `config`, else those of the course's `nbgrader_config.py` if it has one.

    With a `seed`, the same submission has the same verdict each time; without, each exercise draws a new seed, and its
    outcome keeps it. At most so many `processors` are used, all by default.

    Raises AssignmentError if the assignment cannot be graded as it stands, ConfigurationError for a configuration that
    cannot be used, OSError for what cannot be read, and KernelLostError where our own machinery failed twice. Whatever
    the submission holds is no error: it is in the verdict.
    """
    folder = assignment.resolve()
    course = folder.parent.parent
    if config is None:
        config = course_configuration(course)
    refuse_unknown(config)
    refuse_other_checkout(course)
    if seed is not None:
        config = Config(config)
        config.ExecuteOutside.seed = seed
    releases = read_releases(folder)
    found, cells = assignment_of(course, folder.name), graded_cells_in(releases)
    refuse_unchecked(found, cells, stock=bool(option(config, "stock")))
    names, limits = config.CourseDirectory, ConfinedProvisioner(config=config).confinement.limits
    with _as_folder(submission, releases) as handed_in:
        located = locate(handed_in, releases)
        problem, reports = "", {}
        try:
            refuse_too_many(handed_in)
            work = gather(
                found,
                releases,
                located,
                [course / names.get("source_directory", "source") / folder.name, folder, handed_in],
                ignored=[*names.get("ignore", IGNORED), HIDDEN],
                limits=limits,
                config=config,
                without=set(left_out(handed_in)),
            )
        except ValueError as error:  # of what the submission holds
            problem = str(error)
        else:
            reports = dict(execute(work, processors or cores()).reports)
    outcomes = tuple(Outcome.found(cell, located[cell.notebook], reports, problem) for cell in cells)
    return Verdict(folder.name, outcomes, tuple(name for name, one in located.items() if not one.path))


@contextlib.contextmanager
def _as_folder(submission: Path, releases: Mapping[str, Release]) -> Iterator[Path]:
    """Yield the folder of a submission; a single notebook is copied into one, under the name that it must have."""
    if submission.is_dir():
        yield submission
        return
    name = f"{next(iter(releases))}.ipynb" if len(releases) == 1 else submission.name
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(submission, Path(folder) / name, follow_symlinks=False)  # a link is no notebook
        yield Path(folder)
