"""The commands `collect` and `return`: from what Canvas and Moodle let teachers download, and back into their tables.

Whose a file is, is read only from the part of its name that the system has written, before what a student chose.
"""

import argparse
import io
import json
import os
import re
import shutil
import stat
import tarfile
import time
import unicodedata
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from nbverdict.classroom.command import open_run
from nbverdict.classroom.course import AssignmentRun, CourseError
from nbverdict.classroom.releases import release_notebooks, releases_of
from nbverdict.configuration import Configuration
from nbverdict.files import write_whole
from nbverdict.notebooks.locating import locate, unusable
from nbverdict.notebooks.repair import MOST_FILES

# Names of Canvas: lastfirst_ID_UPLOAD_file. Of Moodle: Full Name_ID_assignsubmission_file_/file, in folders or flat.
# Both take the underscores out of people's names, so that the first number after one is the system's own.
_CANVAS = re.compile(
    r"(?P<who>[^_/]*)_(?P<late>LATE_)?(?P<id>\d+)_(?P<upload>\d+)_(?P<rest>.+)", re.IGNORECASE | re.DOTALL
)
_MOODLE = re.compile(r"(?P<who>[^_/]+)_(?P<id>\d+)_assignsubmission_file(?:_?/|_)(?P<rest>.+)", re.DOTALL)
_NUMBERED = re.compile(r"_\d+(_|$)")  # in every name that the systems write
_FOLDERS = r"[/\\]"
_AGAIN = re.compile(r"(-\d+| ?\(\d+\))$")  # what a browser, or the system, adds to a name that is there already
_ARCHIVE = re.compile(r"\.(zip|tar|tgz|tar\.(gz|bz2|xz))$", flags=re.IGNORECASE)  # that a student may have handed in
_OF_SYSTEMS = re.compile(
    r"(^|/)(__MACOSX|\.ipynb_checkpoints)/|(^|/)(\._[^/]*|\.DS_Store|Thumbs\.db)$"
)  # nobody's work
_MOST_BYTES = 256 << 20  # of one student's files, unpacked
_LONGEST = 150  # characters of a file's name
_PIECE = 1 << 20
# Columns of tables that Canvas and Moodle write, in the order in which they are looked for; Moodle's also in German.
_LMS_COLUMNS = ("ID", "Identifier")
_STUDENT_COLUMNS = (
    *("student", "SIS Login ID", "Username", "Anmeldename", "ID number", "ID-Nummer", "SIS User ID"),
    *("Email address", "E-Mail-Adresse"),
)
_NAME_COLUMNS = ("Student", "Full name", "Vollständiger Name")
_GROUP_COLUMNS = ("Group", "Gruppe")
_GRADE_COLUMNS = ("Grade", "Bewertung")
_MAXIMUM_COLUMNS = ("Maximum Grade", "Maximum grade", "Bestwertung")
_PARTICIPANT = re.compile(r"(?:[^\W\d]|[/ .])*(?P<id>\d+)")  # "Participant 12", "Teilnehmer/in12", "12"
_EXEMPT = ("EX", "N/A")  # in a table of grades: excused, not applicable


class Owner(NamedTuple):
    """What the system has written before the name of a file."""

    lms_id: str
    who: str  # a person's name, or that of a group
    upload: int  # a later one has a larger number
    late: bool
    rest: str  # what the student has chosen, with / between folders


class Row(NamedTuple):
    """A student in a table of the system's, or in a roster."""

    lms_id: str
    student: str  # here
    number: int  # of the row in the table
    name: str = ""
    group: str = ""


class Field(NamedTuple):
    """A field of a CSV file: where it stands, and what it says."""

    start: int
    end: int
    value: str


class _Piece(NamedTuple):
    """A file of a download."""

    name: str  # with / between folders
    problem: str  # why it cannot be read; empty if it can
    opened: Callable[[], IO[bytes]]


class _Taken(NamedTuple):
    """A file that was unpacked for a student."""

    path: Path
    newest: tuple[int, int]  # upload, number after the name
    download: str  # its name in the download
    late: bool


def read_owner(name: str) -> Owner | None:
    """Return whose a downloaded file is, by its path in the download; None if no system has written the name."""
    first, _, rest = name.partition("/")
    if rest and not _NUMBERED.search(first):  # a folder around it all, which a teacher has made
        name = rest
    if match := _MOODLE.fullmatch(name):
        return Owner(match["id"], match["who"], 0, False, match["rest"])
    if match := _CANVAS.fullmatch(name):
        return Owner(match["id"], match["who"], int(match["upload"]), bool(match["late"]), match["rest"])
    return None


def _target(rest: str, notebooks: Iterable[str]) -> tuple[str, int] | None:
    """Return the name under which a student's file is graded, and the number that a copy has; None if it is not.

    A notebook of another name than the release's keeps it: which one is meant, its cells may tell.
    """
    name = re.split(_FOLDERS, rest)[-1].strip()
    stem, dot, suffix = name.rpartition(".")
    if suffix.lower() == "ipynb" and dot:
        if stem in notebooks:
            return f"{stem}.ipynb", 0
        if (again := _AGAIN.search(stem)) and stem[: again.start()] in notebooks:
            return f"{stem[: again.start()]}.ipynb", int(re.sub(r"\D", "", again[0]))
    if ".ipynb" in name.lower() and len(name) < _LONGEST and name.isprintable() and not name.startswith("."):
        return name, 0
    return None


def _pieces(source: Path) -> Iterator[_Piece]:
    """Yield the files of a download: of a zip file, or of a folder, in which no link is followed."""
    if source.is_dir():
        for here, folders, files in os.walk(source):
            folders.sort()
            for name in sorted([*files, *(name for name in folders if Path(here, name).is_symlink())]):
                path = Path(here, name)
                problem = "" if stat.S_ISREG(path.lstat().st_mode) else "no file, but a link or the like"
                yield _Piece(path.relative_to(source).as_posix(), problem, lambda path=path: path.open("rb"))  # type: ignore[misc]
    else:
        with source.open("rb") as file:
            yield from _unpacked(source.name, file)


def _unpacked(name: str, file: IO[bytes]) -> Iterator[_Piece]:
    """Yield the files of an archive; raise an exception of some kind where it is none."""
    if not name.lower().endswith(".zip"):
        with tarfile.open(fileobj=file) as archive:
            for count, member in enumerate(archive):
                _refuse_many(count)
                problem = "" if member.isfile() or member.isdir() else "no file, but a link or the like"
                if not member.isdir():
                    yield _Piece(member.name, problem, lambda member=member: _some(archive.extractfile(member)))  # type: ignore[misc]
        return
    with zipfile.ZipFile(file) as archive_:
        for info in archive_.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            problem = "no file, but a link or the like" if kind not in (0, stat.S_IFREG, stat.S_IFDIR) else ""
            if not info.is_dir():
                yield _Piece(info.filename, problem, lambda info=info: archive_.open(info))  # type: ignore[misc]


def _some(file: IO[bytes] | None) -> IO[bytes]:
    if file is None:
        raise OSError("no file")
    return file


def _refuse_many(count: int) -> None:
    if count > MOST_FILES:
        raise ValueError(f"more than {MOST_FILES:,} files")


class _Unpacking:
    """Unpacks the files of a download, each student's within bounds, and keeps what is left out and why."""

    def __init__(self, folder: Path, notebooks: Sequence[str]) -> None:
        self._folder, self._notebooks = folder, notebooks
        self._room: dict[str, int] = defaultdict(lambda: _MOST_BYTES)  # by the system's id
        self._count = 0
        self.taken: dict[str, dict[str, _Taken]] = {}  # the system's id -> name under which it is graded
        self.owners: dict[str, Owner] = {}
        self.left: list[str] = []  # with the reason
        self.older: list[str] = []

    def take(self, source: Path) -> None:
        """Unpack a download."""
        try:
            for piece in _pieces(source):
                if _OF_SYSTEMS.search(piece.name):
                    continue
                if (owner := read_owner(piece.name)) is None:
                    self.left.append(f"{piece.name}: no name of a file that {_SYSTEMS} write")
                else:
                    self.owners[owner.lms_id] = owner
                    self._take(piece, owner, piece.name, owner.rest)
        except Exception as error:  # encrypted, cut off, of an unknown method, with a wrong checksum, ...
            self.left.append(f"{source.name}: cannot be unpacked ({_reason(error)})")

    def _take(self, piece: _Piece, owner: Owner, download: str, rest: str, depth: int = 0) -> None:
        """Take a student's file, or those of a student's archive; whatever is wrong with it concerns no other."""
        try:
            if piece.problem:
                raise ValueError(piece.problem)
            if _ARCHIVE.search(rest):
                if depth:
                    raise ValueError("an archive in an archive")
                with self._copy(piece, owner).open("rb") as file:
                    for number, inner in enumerate(_unpacked(rest, file)):
                        _refuse_many(number)
                        if not _OF_SYSTEMS.search(inner.name):
                            self._take(
                                inner, owner, f"{download}_{re.split(_FOLDERS, inner.name)[-1]}", inner.name, depth + 1
                            )
                return
            if (target := _target(rest, self._notebooks)) is None:
                raise ValueError("no notebook of this assignment")
            name, number = target
            found = _Taken(self._copy(piece, owner), (owner.upload, number), download, owner.late)
        except Exception as error:  # whatever a student's archive makes of the libraries
            self.left.append(f"{download}: {_reason(error)}")
            return
        known = self.taken.setdefault(owner.lms_id, {}).get(name)
        if known is None or found.newest > known.newest:
            self.taken[owner.lms_id][name] = found
            self.older += [known.download] if known else []
        else:
            self.older.append(download)

    def _copy(self, piece: _Piece, owner: Owner) -> Path:
        """Write a file to a path of ours, a piece at a time: what it says of its size is worth nothing."""
        path = self._folder / str(self._count)
        self._count += 1
        with piece.opened() as file, path.open("xb") as copy:
            while content := file.read(_PIECE):
                self._room[owner.lms_id] -= len(content)
                if self._room[owner.lms_id] < 0:
                    raise ValueError(f"more than {_MOST_BYTES >> 20} MiB of one student")
                copy.write(content)
        return path


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__


def collect(options: argparse.Namespace, configuration: Configuration | None) -> int:
    """Run the command `collect` with its options, and return its exit status."""
    _refuse_missing(*options.archives, options.roster, options.groups)
    if options.groups and not options.roster:
        raise CourseError("--groups needs --roster, which says who the members are here")
    return collected(open_run(options, configuration), options.archives, options.roster, options.groups)


def give_back(options: argparse.Namespace, configuration: Configuration | None) -> int:
    """Run the command `return` with its options, and return its exit status."""
    _refuse_missing(options.table)
    run, how = open_run(options, configuration), {"scale": options.scale, "waiting": options.waiting}
    status = filled_in(run, options.table, options.column, options.to, **how)
    if options.feedback:
        _zip_feedback(run, options.feedback)
    return status


def _refuse_missing(*paths: Path | None) -> None:
    for path in paths:
        if path and not path.exists():
            raise CourseError(f"there is no {path}")


def collected(run: AssignmentRun, archives: Sequence[Path], roster: Path | None, groups: Path | None = None) -> int:
    """Put what was downloaded into the students' folders, and say what could not be matched; return the exit status.

    The archives are zip files, or folders of what was in them. `roster` is a table with the ids of the system and those
    of this course, such as the system's own gradebook; without one its ids are the students' names here. `groups` is
    Canvas' table of groups; in Moodle's table the groups stand beside the students. Work that is replaced is kept in
    `downloaded/ASSIGNMENT/replaced/`.
    """
    rows = {row.lms_id: row for row in read_roster(roster)} if roster else None
    members = _members(rows or {}, groups)
    downloaded = Path(run.course.coursedir.root) / "downloaded" / run.assignment_name
    extracted = downloaded / "extracted"
    shutil.rmtree(extracted, ignore_errors=True)
    extracted.mkdir(parents=True)
    for archive in archives:
        if not (archive.is_dir() or zipfile.is_zipfile(archive)):
            raise CourseError(f"{archive} is neither a zip file nor a folder; give what {_SYSTEMS} let you download")
    found = _Unpacking(extracted, release_notebooks(run.course.coursedir, run.assignment_name))
    for archive in archives:
        found.take(archive)
    best: dict[str, dict[str, _Taken]] = defaultdict(dict)  # student -> name -> file
    foreign, of_groups = [], []
    for lms_id, files in found.taken.items():
        owner, whose = found.owners[lms_id], []
        why = f"the roster has no id {lms_id}"
        if rows is None:
            whose = [lms_id]
        elif group := members.get(_letters(owner.who)):
            whose = group
            of_groups.append(f"{owner.who}: {', '.join(group)}")
        elif row := rows.get(lms_id):
            whose = [row.student]
            if row.name and not _same_name(owner.who, row.name):
                why = f"the roster has {row.name} for the id {lms_id}, and not {owner.who}"
                if owner.upload:
                    foreign.append(f"{owner.who}: {row.student}")
                else:
                    whose = []  # in Moodle it may be the number of a group
        for student in whose:
            newer = {n: f for n, f in files.items() if n not in best[student] or f.newest > best[student][n].newest}
            best[student] |= newer
        if not whose:
            found.left += [f"{file.download}: {why}" for file in files.values()]
    odd = {student: why for student in best if (why := unusable(student) or _no_folder(student))}
    for student, why in odd.items():
        found.left += [f"{file.download}: {why}" for file in best.pop(student).values()]
    replaced = [student for student, files in sorted(best.items()) if _place(run, student, files, downloaded)]
    known_names = _names(downloaded)
    for student, files in best.items():
        own = {Path(name).stem: file.download for name, file in files.items()}
        known_names[student] = known_names.get(student, {}) | own
    write_whole(downloaded / "names.json", json.dumps(known_names, indent=1, ensure_ascii=False) + "\n")
    shutil.rmtree(extracted, ignore_errors=True)
    number = sum(len(files) for files in best.values())
    print(f"{number} notebooks of {len(best)} students are in {run.submitted('STUDENT')}")
    _list("not matched, and left out", found.left)
    _list("left out, as there is a newer one of that name", found.older)
    _list("handed in again; what was there is kept in downloaded/, under replaced/", replaced)
    _list("marked late", sorted(s for s, files in best.items() if any(file.late for file in files.values())))
    _list("groups, whose work each of their members gets", of_groups)
    _list(
        "with another name than the roster has. If it is a group's, only that student got its work: collect again, "
        "with Canvas' table of groups (--groups)",
        foreign,
    )
    there = {row.student for row in rows.values()} if rows else set()
    _list("on the roster, and not in the download", sorted(there - set(best)))
    return 1 if found.left or foreign else 0


def _place(run: AssignmentRun, student: str, files: Mapping[str, _Taken], downloaded: Path) -> bool:
    """Put a student's files where they are graded; return whether they replace others, which are kept elsewhere."""
    kept = _keep_old(run, student, downloaded)
    folder = run.submitted(student)
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in files.items():
        shutil.copyfile(file.path, folder / name)
    if kept:  # who hands in one notebook again has not taken the others back
        for path in (path for path in kept.rglob("*") if path.is_file() and not path.is_symlink()):
            if not (place := folder / path.relative_to(kept)).exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, place)
    return kept is not None


def _no_folder(student: str) -> str:
    wrong = student in (".", "..") or set(student) & set("/\\")
    return f"{student!r} cannot be the name of a folder" if wrong else ""


def _members(rows: Mapping[str, Row], groups: Path | None) -> dict[str, list[str]]:
    """Return the students of each group by the letters of its name, from Moodle's table or Canvas' table of groups."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows.values():
        if row.group:
            found[_letters(row.group)].append(row.student)
    if groups:
        table = list(_rows(_read(groups)))
        header = [field.value.strip() for field in table[0]] if table else []
        ids = [name for name in ("canvas_user_id", "login_id", "user_id") if name in header]
        if "group_name" not in header or not ids:
            raise CourseError(
                f"{groups} has the columns {', '.join(header) or 'none'}; it needs group_name and canvas_user_id, as "
                "Canvas writes them under People, Groups, Export"
            )
        students = {row.student for row in rows.values()}
        for line in table[1:]:
            values = {name: field.value.strip() for name, field in zip(header, line, strict=False)}
            known = rows.get(values.get("canvas_user_id", ""))
            student = known.student if known else next((values[n] for n in ids if values.get(n) in students), "")
            if student and values.get("group_name"):
                found[_letters(values["group_name"])].append(student)
    people = {_letters(row.name) for row in rows.values()}
    return {group: sorted(set(students)) for group, students in found.items() if group not in people}


def _letters(name: str, *, plain: bool = True) -> str:
    """Return the letters and digits of a name, as systems write it into names of files: with or without accents."""
    if plain:
        name = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return "".join(c for c in name.lower() if c.isalnum() and (plain or c.isascii()))


def _same_name(written: str, name: str) -> bool:
    """Return whether two ways to write a name may be the same person's: in any order, after the name of a group."""
    here, there = ({_letters(one, plain=plain) for plain in (True, False)} for one in (written, name))
    return any(sorted(one) == sorted(other) or (other and one.endswith(other)) for one in here for other in there)


def filled_in(run: AssignmentRun, table: Path, column: str | None, to: Path, *, scale: bool, waiting: bool) -> int:
    """Fill in a column of the system's table; return the exit status, 1 if somebody has no row there.

    Every byte of the table but the fields that are filled in stays. Rows without a grade stay as they are, and so do
    those that wait for a grade by hand, unless `waiting`, and those that say EX or N/A. With `scale` points are
    converted to the table's maximum. Without a column, it is Moodle's own for grades.
    """
    points, most, pending = _points(run)
    text = _read(table)
    rows = list(_rows(text))
    place, header = _column(rows, column, table)
    by_row = {row.number: row.student for row in read_roster(table)}
    maximum = _maximum(rows, place)
    if maximum is not None and abs(maximum - most) > 1e-9 and not scale:
        raise CourseError(
            f"{table} has {maximum:g} points for {header!r}, and this course {most:g}. Change the one or the other, or "
            "use --scale"
        )
    factor = maximum / most if maximum is not None and scale else 1.0
    numbers = [n for n, field in enumerate(rows[0]) if n == place or field.value in _MAXIMUM_COLUMNS]
    comma = any("," in row[n].value for row in rows[1:] for n in numbers if len(row) > n)  # by the teacher's language
    pieces, end, filled, exempt = [], 0, [], []
    for number, student in sorted(by_row.items()):
        if len(rows[number]) <= place:
            continue
        if student in points and (waiting or student not in pending):
            field = rows[number][place]
            if field.value.strip().upper() in _EXEMPT:
                exempt.append(f"{student}: {field.value.strip()}")
                continue
            value = f"{points[student] * factor:.2f}".rstrip("0").rstrip(".")
            quoted = f'"{value.replace(".", ",")}"' if _delimiter(text) == "," else value.replace(".", ",")
            pieces += [text[end : field.start], quoted if comma else value]
            end = field.end
            filled.append(student)
    write_whole(to, "".join([*pieces, text[end:]]).encode())
    print(f"{len(filled)} of {len(by_row)} rows of {header!r} are filled in: {to}")
    _list("left as they were, as the table exempts them", exempt)
    finished_grades = {*filled, *(line.rpartition(": ")[0] for line in exempt)}
    left = sorted(set(points) & set(by_row.values()) - finished_grades)
    _list("left as they were, as something waits for a grade by hand (--waiting fills them in)", left)
    missing = sorted(set(points) - set(by_row.values()))
    _list("graded here, and without a row there", missing)
    return 1 if missing else 0


def read_roster(path: Path) -> Iterator[Row]:
    """Yield the students of the system's own table, or of a roster, with the number of their row.

    The system's id is in a column `ID` (Canvas, a German Moodle) or `Identifier` (Moodle: "Participant 12345"), the
    student's id here in the first of `_STUDENT_COLUMNS` that is there. Where Moodle hides who they are, its number is
    also the student's id. Raises CourseError if the columns are not there, or if two rows have one id.
    """
    rows = list(_rows(_read(path)))
    header = [field.value.strip() for field in rows[0]] if rows else []
    lms, own, name, group = (
        next((header.index(n) for n in names if n in header), None)
        for names in (_LMS_COLUMNS, _STUDENT_COLUMNS, _NAME_COLUMNS, _GROUP_COLUMNS)
    )
    hidden = own is None and any(n in header for n in _GRADE_COLUMNS)  # Moodle's table without names
    if lms is None or (own is None and not hidden):
        wanted = f"one of {', '.join(_LMS_COLUMNS)} and one of {', '.join(_STUDENT_COLUMNS)}"
        raise CourseError(f"{path} has the columns {', '.join(header) or 'none'}; it needs {wanted}")
    seen: dict[str, str] = {}
    for number, row in enumerate(rows[1:], 1):
        if len(row) <= max(lms, own or 0):
            continue
        match = _PARTICIPANT.fullmatch(row[lms].value.strip())
        lms_id = match["id"] if match else ""
        student = lms_id if own is None else row[own].value.strip()
        if not lms_id or not student:
            continue  # Canvas' "Points Possible" and its like, or its student for tests
        if student in (".", "..") or set(student) & set("/\\*?[]"):
            raise CourseError(f"{path}: {student!r} cannot be the name of a folder, so of no student here")
        for kind, value in (("id", lms_id), ("student", student.casefold())):
            if seen.setdefault(f"{kind} {value}", student) != student or (kind == "id" and f"row {value}" in seen):
                raise CourseError(f"{path} has the {kind} {lms_id if kind == 'id' else student} twice: {_TWICE}")
        if f"name {student}" in seen:
            raise CourseError(f"{path} has the student {student} twice: {_TWICE}")
        seen |= {f"row {lms_id}": student, f"name {student}": student}
        texts = [row[n].value.strip() if n is not None and n < len(row) else "" for n in (name, group)]
        yield Row(lms_id, student, number, *texts)


_TWICE = "nobody can say whose row is whose (names that differ by case alone are one folder on many systems)"
_SYSTEMS = "Canvas and Moodle"


def _read(table: Path) -> str:
    try:
        return table.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise CourseError(f"{table} is not in UTF-8: take it as the system wrote it, not a spreadsheet") from None


def _delimiter(text: str) -> str:
    """Return what separates the fields of a CSV file: the one by which its first line has most fields."""
    first = re.match(r'(?:"(?:[^"]|"")*"|[^"\r\n])*', text.removeprefix("\ufeff"))
    line = re.sub(r'"(?:[^"]|"")*"', "", first[0] if first else "")
    return max(",;\t", key=line.count)


def _rows(text: str, delimiter: str = "") -> Iterator[list[Field]]:
    """Yield the rows of a CSV file with the place of each field; the same fields as the `csv` module finds.

    A byte order mark belongs to no field. Without a delimiter it is the one that the first line has.
    """
    delimiter = delimiter or _delimiter(text)
    mark = re.escape(delimiter)
    pattern = re.compile(rf'(?P<field>"(?:[^"]|"")*"|[^{mark}\r\n]*)(?P<end>{mark}|\r\n|\r|\n|\Z)')
    row: list[Field] = []
    for match in pattern.finditer(text, 1 if text.startswith("\ufeff") else 0):
        if match.start() == len(text) and not row:
            return  # behind the last line
        raw = match["field"]
        value = raw[1:-1].replace('""', '"') if raw.startswith('"') else raw
        row.append(Field(match.start("field"), match.end("field"), value))
        if match["end"] != delimiter:
            yield row
            row = []
            if match["end"] == "":
                return


def _column(rows: Sequence[Sequence[Field]], column: str | None, table: Path) -> tuple[int, str]:
    """Return the place and the whole name of a column; Canvas adds the number of the assignment to its name."""
    names = [field.value for field in rows[0]] if rows else []
    wanted = (column,) if column else _GRADE_COLUMNS
    found = [n for n, name in enumerate(names) if name in wanted or re.sub(r" \(\d+\)$", "", name) in wanted]
    if len(found) != 1:
        what = column or " or ".join(_GRADE_COLUMNS)
        raise CourseError(f"{table} has {len(found) or 'no'} columns {what!r}; its columns are: {', '.join(names)}")
    return found[0], names[found[0]]


def _maximum(rows: Sequence[Sequence[Field]], place: int) -> float | None:
    """Return the most points by Canvas' row "Points Possible" or Moodle's column "Maximum Grade", if there is one."""
    header = [field.value for field in rows[0]]
    texts = [row[place].value for row in rows[1:4] if row[0].value.strip() == "Points Possible" and len(row) > place]
    if (most := next((header.index(n) for n in _MAXIMUM_COLUMNS if n in header), None)) is not None and len(rows) > 1:
        texts += [row[most].value for row in rows[1:2] if len(row) > most]
    try:
        return float(texts[0].replace(",", "."))
    except (IndexError, ValueError):
        return None


def _points(run: AssignmentRun) -> tuple[dict[str, float], float, set[str]]:
    """Return everybody's points less late penalties, the most points, and who waits for a grade by hand."""
    points, pending = {}, set()
    with run.course.gradebook() as gradebook:
        most = float(gradebook.find_assignment(run.assignment_name).max_score)
        for submission in gradebook.assignment_submissions(run.assignment_name):
            student = submission.student.id
            points[student] = max(0.0, float(submission.score) - float(submission.late_submission_penalty or 0.0))
            if submission.needs_manual_grade:
                pending.add(student)
    return points, most, pending


def _zip_feedback(run: AssignmentRun, path: Path) -> None:
    """Write the feedback pages under the names that the download had, by which the system knows whose they are."""
    names = _names(Path(run.course.coursedir.root) / "downloaded" / run.assignment_name)
    written: set[str] = set()
    without: list[str] = []
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for student in sorted(_points(run)[0]):
            folder = run.folder(run.course.coursedir.feedback_directory, student)
            own = names.get(student, {})
            located = locate(run.submitted(student), releases_of(run.course.coursedir, run.assignment_name))
            pages = 0
            for page in sorted(folder.glob("*.html")):
                handed_in = located[page.stem].path if page.stem in located else None
                if download := own.get(page.stem) or (own.get(handed_in.stem) if handed_in else None):
                    name = f"{download.removesuffix('.ipynb')}.html"
                    pages += 1
                    if name not in written:  # the members of a group have one
                        file.write(page, name)
                        written.add(name)
            without += [student] * (not pages)
    write_whole(path, content.getvalue())
    print(f"{len(written)} feedback pages: {path}")
    _list("without a page: not collected from a download, or no feedback was generated", without)


def _names(downloaded: Path) -> dict[str, dict[str, str]]:
    """Return the names that files had in downloads, by student and notebook."""
    try:
        found: dict[str, dict[str, str]] = json.loads((downloaded / "names.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _keep_old(run: AssignmentRun, student: str, downloaded: Path) -> Path | None:
    """Move away what a student handed in before, and return where it is; None if there was nothing."""
    folder = run.submitted(student)
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    kept = downloaded / "replaced" / time.strftime("%Y-%m-%d_%H-%M-%S") / student
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(folder, kept)
    return kept


def _list(what: str, names: Sequence[str]) -> None:
    if names:
        print(f"{len(names)} {what}:", *(f"  {name}" for name in names), sep="\n")
