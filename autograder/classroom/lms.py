"""From a learning management system and back: its downloads become `submitted/`, its gradebook and feedback are filled.

Canvas names a downloaded file `lastfirst_LATE_12345_67890_notebook-2.ipynb`: the user's id, that of the upload, and a
number if it is not the first of that name. Moodle makes a folder `Full Name_12345_assignsubmission_file_` for each
participant. What goes back is what these systems read: their own table of grades with one column filled in, Canvas'
"Points Possible" row and Moodle's grading worksheet among them, and a zip file of feedback pages under the names of
what was downloaded.
"""

import argparse
import io
import json
import re
import shutil
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from nbgrader.apps.zipcollectapp import ZipCollectApp
from nbgrader.plugins.zipcollect import FileNameCollectorPlugin
from traitlets import Dict
from traitlets.config import Config

from autograder.classroom.command import prepared
from autograder.classroom.course import Course, CourseError
from autograder.configuration import Configuration
from autograder.files import write_whole
from autograder.notebooks.release import release_notebooks

_CANVAS = re.compile(r"[^/]*?_(?P<late>LATE_)?(?P<id>\d+)_(?P<upload>\d+)_(?P<name>[^/]+)\.ipynb", re.IGNORECASE)
_MOODLE = re.compile(r"[^/]+_(?P<id>\d+)_assignsubmission_file(?:_?/(?:[^/]+/)*|_)(?P<name>[^/]+)\.ipynb")
_AGAIN = re.compile(r"(-\d+| ?\(\d+\))$")  # what a browser, or the system, adds to a name that is there already
# Columns of tables that Canvas and Moodle write, in the order in which they are looked for.
_LMS_COLUMNS = ("ID", "Identifier")
_STUDENT_COLUMNS = ("student", "SIS Login ID", "Username", "ID number", "SIS User ID", "Email address")


class Found(NamedTuple):
    """A downloaded notebook."""

    lms_id: str
    notebook: str
    newest: tuple[int, int]  # among those of one student and notebook: upload, number after the name
    download: str  # its name in the download
    late: bool


class Field(NamedTuple):
    """A field of a CSV file: where it stands, and what it says."""

    start: int
    end: int
    value: str


def read_name(path: str, notebooks: Sequence[str]) -> Found | None:
    """Return what the path of a downloaded file says, with / between folders; None if it is none of the notebooks'."""
    match = _MOODLE.search(path) or _CANVAS.fullmatch(path.rsplit("/", 1)[-1])
    if match is None:
        return None
    name, number = match["name"], 0
    if name not in notebooks and (again := _AGAIN.search(name)):
        name, number = name[: again.start()], int(re.sub(r"\D", "", again[0]))
    if name not in notebooks:
        return None
    more = match.groupdict()
    download = path[match.start() :] if match.re is _MOODLE else match[0]
    return Found(match["id"], name, (int(more.get("upload", 0)), number), download, bool(more.get("late")))


class LmsFiles(FileNameCollectorPlugin):  # type: ignore[misc]  # nbgrader has no types
    """Tells nbgrader's `zip_collect` whose a downloaded file is; of several of one name it takes the latest."""

    winners = Dict(help="path of each file to take -> (student, notebook)").tag(config=True)

    def collect(self, submitted_file: str) -> dict[str, str] | None:
        """Return the student and the notebook of a file; None if it is not to be taken."""
        if (found := self.winners.get(submitted_file)) is None:
            return None
        return {"student_id": found[0], "file_id": f"{found[1]}.ipynb"}


def collect(options: argparse.Namespace, configuration: Configuration | None) -> int:
    """Run the command `collect` with its options, and return its exit status."""
    _refuse_missing(*options.archives, options.roster)
    return collected(prepared(options, configuration), options.archives, options.roster)


def give_back(options: argparse.Namespace, configuration: Configuration | None) -> int:
    """Run the command `return` with its options, and return its exit status."""
    _refuse_missing(options.table)
    course, how = prepared(options, configuration), {"scale": options.scale, "waiting": options.waiting}
    status = filled_in(course, options.table, options.column, options.to, **how)
    if options.feedback:
        _zip_feedback(course, options.feedback)
    return status


def _refuse_missing(*paths: Path | None) -> None:
    for path in paths:
        if path and not path.exists():
            raise CourseError(f"there is no {path}")


def collected(course: Course, archives: Sequence[Path], roster: Path | None) -> int:
    """Let nbgrader collect what was downloaded, and say what could not be matched; return the exit status.

    The archives are zip files, or folders of what was in them. `roster` is a table with the ids of the system and those
    of this course, such as the system's own gradebook; without one its ids are the students' names here. Work that is
    replaced is kept in `downloaded/ASSIGNMENT/replaced/`.
    """
    ids = {lms: student for lms, student, _ in read_roster(roster)} if roster else None
    notebooks = release_notebooks(course.coursedir, course.name)
    downloaded = Path(course.coursedir.root) / "downloaded" / course.name
    shutil.rmtree(downloaded / "extracted", ignore_errors=True)
    (downloaded / "archive").mkdir(parents=True, exist_ok=True)
    for old in (downloaded / "archive").iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    for archive in archives:
        if archive.is_dir():
            shutil.copytree(archive, downloaded / "archive" / archive.name, symlinks=True)
        elif zipfile.is_zipfile(archive):
            shutil.copy(archive, downloaded / "archive")
        else:
            raise CourseError(f"{archive} is neither a zip file nor a folder; give what {_SYSTEMS} let you download")
    app = ZipCollectApp(config=Config(course.config), coursedir=course.coursedir, collector_plugin=LmsFiles)
    app.log.setLevel("ERROR")
    course.coursedir.assignment_id, app.force = course.name, True
    app.init_plugins()
    app.extract_archive_files()
    extracted = downloaded / "extracted"
    best: dict[tuple[str, str], tuple[Found, Path]] = {}
    unmatched, older = [], []
    for path in sorted(path for path in extracted.rglob("*") if not path.is_dir()):
        name = path.relative_to(extracted).as_posix()
        found = read_name(name, notebooks) if path.is_file() and not path.is_symlink() else None
        student = None if found is None else found.lms_id if ids is None else ids.get(found.lms_id)
        if found is None or student is None:
            why = "no notebook of this assignment" if found is None else f"the roster has no id {found.lms_id}"
            unmatched.append(f"{name}: {why}")
            continue
        known = best.get((student, found.notebook))
        if known is None or found.newest > known[0].newest:
            best[student, found.notebook] = found, path
            older += [known[0].download] if known else []
        else:
            older.append(found.download)
    app.collector_plugin_inst.winners = {str(path): key for key, (_, path) in best.items()}
    students = sorted({student for student, _ in best})
    old_work = {student: kept for student in students if (kept := _keep_old(course, student, downloaded))}
    app.process_extracted_files()
    for student, kept in old_work.items():  # who hands in one notebook again has not taken the others back
        for path in (path for path in kept.rglob("*") if path.is_file() and not path.is_symlink()):
            if not (place := course.submitted(student) / path.relative_to(kept)).exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, place)
    names = {student: {n: f.download for (s, n), (f, _) in best.items() if s == student} for student in students}
    known_names = _names(downloaded)
    known_names |= {student: known_names.get(student, {}) | own for student, own in names.items()}
    write_whole(downloaded / "names.json", json.dumps(known_names, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(best)} notebooks of {len(students)} students are in {course.submitted('STUDENT')}")
    _list("not matched, and left out", unmatched)
    _list("left out, as there is a newer one of that name", older)
    _list("handed in again; what was there is kept in downloaded/, under replaced/", sorted(old_work))
    _list("marked late", sorted({student for (student, _), (found, _) in best.items() if found.late}))
    _list("on the roster, and not in the download", sorted(set(ids.values()) - set(students)) if ids else [])
    return 1 if unmatched else 0


def filled_in(course: Course, table: Path, column: str, to: Path, *, scale: bool, waiting: bool) -> int:
    """Fill in a column of the system's table; return the exit status, 1 if somebody has no row there.

    Every byte of the table but the fields that are filled in stays. Rows without a grade stay as they are, and so do
    those that wait for a grade by hand, unless `waiting`. With `scale` points are converted to the table's maximum.
    """
    points, most, pending = _points(course)
    text = _read(table)
    rows = list(_rows(text))
    place, header = _column(rows, column, table)
    by_row = {number: student for _, student, number in read_roster(table)}
    maximum = _maximum(rows, place)
    if maximum is not None and abs(maximum - most) > 1e-9 and not scale:
        raise CourseError(
            f"{table} has {maximum:g} points for {header!r}, and this course {most:g}. Change the one or the other, or "
            "use --scale"
        )
    factor = maximum / most if maximum is not None and scale else 1.0
    numbers = [n for n, field in enumerate(rows[0]) if n == place or field.value == "Maximum Grade"]
    comma = any("," in row[n].value for row in rows[1:] for n in numbers if len(row) > n)  # by the teacher's language
    pieces, end, filled = [], 0, []
    for number, student in sorted(by_row.items()):
        if student in points and (waiting or student not in pending):
            field = rows[number][place]
            value = f"{points[student] * factor:.2f}".rstrip("0").rstrip(".")
            pieces += [text[end : field.start], f'"{value.replace(".", ",")}"' if comma else value]
            end = field.end
            filled.append(student)
    write_whole(to, "".join([*pieces, text[end:]]).encode())
    print(f"{len(filled)} of {len(by_row)} rows of {header!r} are filled in: {to}")
    left = sorted(set(points) & set(by_row.values()) - set(filled))
    _list("left as they were, as something waits for a grade by hand (--waiting fills them in)", left)
    missing = sorted(set(points) - set(by_row.values()))
    _list("graded here, and without a row there", missing)
    return 1 if missing else 0


def read_roster(path: Path) -> Iterator[tuple[str, str, int]]:
    """Yield the system's id, the student's id here, and the number of the row, from the system's own table or a roster.

    The first is in a column `ID` (Canvas) or `Identifier` (Moodle: "Participant 12345"), the second in the first
    of `student`, `SIS Login ID`, `Username`, `ID number`, `SIS User ID`, `Email address` that is there. Raises
    CourseError if they are not there, or if two rows have one id.
    """
    rows = list(_rows(_read(path)))
    header = [field.value.strip().removeprefix("\ufeff") for field in rows[0]] if rows else []
    lms, own = (next((n for n in names if n in header), None) for names in (_LMS_COLUMNS, _STUDENT_COLUMNS))
    if lms is None or own is None:
        wanted = f"one of {', '.join(_LMS_COLUMNS)} and one of {', '.join(_STUDENT_COLUMNS)}"
        raise CourseError(f"{path} has the columns {', '.join(header) or 'none'}; it needs {wanted}")
    seen: dict[str, str] = {}
    for number, row in enumerate(rows[1:], 1):
        if len(row) <= max(header.index(lms), header.index(own)):
            continue
        lms_id = row[header.index(lms)].value.strip().removeprefix("Participant ")
        student = row[header.index(own)].value.strip()
        if not lms_id.isdecimal() or not student:
            continue  # Canvas' "Points Possible" and its like, or its student for tests
        if student in (".", "..") or set(student) & set("/\\*?[]"):
            raise CourseError(f"{path}: {student!r} cannot be the name of a folder, so of no student here")
        for kind, value in (("id", lms_id), ("student", student)):
            if seen.setdefault(f"{kind} {value}", str(number)) != str(number):
                raise CourseError(f"{path} has the {kind} {value} twice: nobody can say whose row is whose")
        yield lms_id, student, number


_SYSTEMS = "Canvas and Moodle"


def _read(table: Path) -> str:
    try:
        return table.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise CourseError(f"{table} is not in UTF-8: take it as the system wrote it, not a spreadsheet") from None


def _rows(text: str) -> Iterator[list[Field]]:
    """Yield the rows of a CSV file with the place of each field; the same fields as the `csv` module finds."""
    row: list[Field] = []
    for match in re.finditer(r'(?P<field>"(?:[^"]|"")*"|[^,\r\n]*)(?P<end>,|\r\n|\r|\n|\Z)', text):
        if match.start() == len(text) and not row:
            return  # behind the last line
        raw = match["field"]
        value = raw[1:-1].replace('""', '"') if raw.startswith('"') else raw
        row.append(Field(match.start("field"), match.end("field"), value))
        if match["end"] != ",":
            yield row
            row = []
            if match["end"] == "":
                return


def _column(rows: Sequence[Sequence[Field]], column: str, table: Path) -> tuple[int, str]:
    """Return the place and the whole name of a column; Canvas adds the number of the assignment to its name."""
    names = [field.value for field in rows[0]] if rows else []
    found = [n for n, name in enumerate(names) if name == column or re.fullmatch(re.escape(column) + r" \(\d+\)", name)]
    if len(found) != 1:
        raise CourseError(f"{table} has {len(found) or 'no'} columns {column!r}; its columns are: {', '.join(names)}")
    return found[0], names[found[0]]


def _maximum(rows: Sequence[Sequence[Field]], place: int) -> float | None:
    """Return the most points by Canvas' row "Points Possible" or Moodle's column "Maximum Grade", if there is one."""
    header = [field.value for field in rows[0]]
    texts = [row[place].value for row in rows[1:4] if row[0].value.strip() == "Points Possible" and len(row) > place]
    if "Maximum Grade" in header and len(rows) > 1:
        texts.append(rows[1][header.index("Maximum Grade")].value)
    try:
        return float(texts[0].replace(",", "."))
    except (IndexError, ValueError):
        return None


def _points(course: Course) -> tuple[dict[str, float], float, set[str]]:
    """Return everybody's points less late penalties, the most points, and who waits for a grade by hand."""
    points, pending = {}, set()
    with course.gradebook() as gradebook:
        most = float(gradebook.find_assignment(course.name).max_score)
        for submission in gradebook.assignment_submissions(course.name):
            student = submission.student.id
            points[student] = max(0.0, float(submission.score) - float(submission.late_submission_penalty or 0.0))
            if submission.needs_manual_grade:
                pending.add(student)
    return points, most, pending


def _zip_feedback(course: Course, path: Path) -> None:
    """Write the feedback pages under the names that the download had, by which the system knows whose they are."""
    names = _names(Path(course.coursedir.root) / "downloaded" / course.name)
    number, without = 0, []
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for student in sorted(_points(course)[0]):
            folder = course.folder(course.coursedir.feedback_directory, student)
            pages = {n: folder / f"{n}.html" for n in names.get(student, {}) if (folder / f"{n}.html").is_file()}
            for notebook, page in pages.items():
                file.write(page, f"{names[student][notebook].removesuffix('.ipynb')}.html")
                number += 1
            without += [student] * (not pages)
    write_whole(path, content.getvalue())
    print(f"{number} feedback pages: {path}")
    _list("without a page: not collected from a download, or no feedback was generated", without)


def _names(downloaded: Path) -> dict[str, dict[str, str]]:
    """Return the names that files had in downloads, by student and notebook."""
    try:
        found: dict[str, dict[str, str]] = json.loads((downloaded / "names.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _keep_old(course: Course, student: str, downloaded: Path) -> Path | None:
    """Move away what a student handed in before, and return where it is; None if there was nothing."""
    folder = course.submitted(student)
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    kept = downloaded / "replaced" / time.strftime("%Y-%m-%d_%H-%M-%S") / student
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(folder, kept)
    return kept


def _list(what: str, names: Sequence[str]) -> None:
    if names:
        print(f"{len(names)} {what}:", *(f"  {name}" for name in names), sep="\n")
