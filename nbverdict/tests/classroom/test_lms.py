"""Round trips of a class through what Canvas and Moodle write and read, on made-up files in their formats.

Canvas: "How do I download all student submissions for an assignment?" and "How do I import grades in the Gradebook?"
(community.canvaslms.com, Instructor Guide). Moodle: "Assignment activity", with its grading worksheet, and "Using
Assignment", with feedback files in a zip (docs.moodle.org).
"""

import csv
import gzip
import io
import shutil
import stat
import zipfile

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbgrader.api import Gradebook

from nbverdict.__main__ import main
from nbverdict.classroom.course import CourseError
from nbverdict.classroom.lms import _rows, _same_name, _target, read_owner, read_roster

# nbgrader 0.9 adds rows in an order that newer SQLAlchemy releases warn about.
pytestmark = pytest.mark.filterwarnings("ignore:Object of type:sqlalchemy.exc.SAWarning")
BOOKS = ("1_pairs", "2_product", "3_entropy")
CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Lab 1 (4711),Essay (4712),Final Score\r\n"
    ",,,,,Manual Posting,,\r\n"
    "    Points Possible,,,,,52,10,(read only)\r\n"
    '"Lovelace, Ada",101,u1,ada,"Section ""A""",,9.50,88\r\n'
    '"Turing, Alan",102,u2,alan,S,3,,\r\n'
    '"Hopper, Grace",103,u3,grace,S,,,"a\r\nb"\r\n'
    '"Student, Test",999,,,S,,,'
)
MOODLE = (
    "\ufeffIdentifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,Feedback comments\n"
    'Participant 101,Ada Lovelace,ada@x.org,"Submitted for grading",,"52,00",Yes,\n'
    'Participant 102,Alan Turing,alan@x.org,No submission,-,"52,00",Yes,"so, so"\n'
)


@pytest.fixture
def course(released, tmp_path, monkeypatch):
    shutil.copytree(released, tmp_path / "course", ignore=shutil.ignore_patterns("submitted"))
    monkeypatch.chdir(tmp_path / "course")
    return tmp_path / "course"


def archive(path, contents):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in contents.items():
            file.writestr(name, content)
    return str(path)


def book(text):
    return nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]))


def submitted(course, student):
    return {path.name: path.read_text() for path in (course / "submitted" / student / "gauss").glob("*")}


def give_points(course, **points):
    """Let nbgrader's gradebook have these students, with feedback pages."""
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}", "of-the-tests") as gradebook:
        for student, score in points.items():
            gradebook.update_or_create_student(student)
            submission = gradebook.update_or_create_submission("gauss", student)
            grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
            for grade in grades:
                grade.auto_score, grade.needs_manual_grade = 0, False
            next(g for g in grades if g.name == "product").manual_score = score
            gradebook.db.commit()
            folder = course / "feedback" / student / "gauss"
            folder.mkdir(parents=True)
            (folder / f"{BOOKS[1]}.html").write_text(f"feedback for {student}")


def pages_in(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name).decode() for name in file.namelist()}


def test_a_class_comes_from_canvas_and_goes_back(course, tmp_path, capsys):
    table = tmp_path / "canvas.csv"
    table.write_bytes(CANVAS.encode())
    files = {
        "lovelaceada_101_5001_1_pairs-2.ipynb": book("ada 1"),
        "lovelaceada_101_5002_2_product.ipynb": book("old"),
        "lovelaceada_101_5003_2_product-1.ipynb": book("ada 2"),
        "turingalan_LATE_102_5004_2_product.ipynb": book("alan"),
        "hoppergrace_103_5005_holiday.png": "no notebook",
        "nobody_177_5006_2_product.ipynb": book("of nobody on the roster"),
    }
    zipped = archive(tmp_path / "submissions.zip", files)
    assert main(["collect", "gauss", zipped, "--roster", str(table)]) == 1
    said = capsys.readouterr().out
    assert "3 notebooks of 2 students are in" in said
    assert "hoppergrace_103_5005_holiday.png: no notebook of this assignment" in said
    assert "nobody_177_5006_2_product.ipynb: the roster has no id 177" in said
    assert "1 left out, as there is a newer one of that name:\n  lovelaceada_101_5002" in said
    assert "1 marked late:\n  alan" in said
    assert "1 on the roster, and not in the download:\n  grace" in said
    assert "ada 1" in submitted(course, "ada")[f"{BOOKS[0]}.ipynb"]
    assert "ada 2" in submitted(course, "ada")[f"{BOOKS[1]}.ipynb"]
    # One notebook is handed in again: the other stays, and so does what was there.
    again = archive(tmp_path / "again.zip", {"lovelaceada_101_5009_1_pairs-3.ipynb": book("ada, again")})
    assert main(["collect", "gauss", again, "--roster", str(table)]) == 0
    assert "again" in submitted(course, "ada")[f"{BOOKS[0]}.ipynb"]
    assert "ada 2" in submitted(course, "ada")[f"{BOOKS[1]}.ipynb"]
    assert any("ada 1" in path.read_text() for path in (course / "downloaded").glob("*/replaced/*/ada/*"))
    give_points(course, ada=12.5, alan=3.25)
    filled, pages = tmp_path / "filled.csv", tmp_path / "feedback.zip"
    where = ["--column", "Lab 1", "--to", str(filled), "--feedback", str(pages)]
    assert main(["return", "gauss", str(table), *where]) == 0
    wanted = CANVAS.replace('"Section ""A""",,9.50', '"Section ""A""",12.5,9.50').replace("alan,S,3,", "alan,S,3.25,")
    assert filled.read_bytes() == wanted.encode()
    assert pages_in(pages) == {
        "lovelaceada_101_5003_2_product-1.html": "feedback for ada",
        "turingalan_LATE_102_5004_2_product.html": "feedback for alan",
    }


def test_a_class_comes_from_moodle_and_goes_back(course, tmp_path, capsys):
    table = tmp_path / "worksheet.csv"
    table.write_bytes(MOODLE.encode())
    own = "Ada Lovelace_101_assignsubmission_file_/2_product.ipynb"
    flat = "Alan Turing_102_assignsubmission_file_2_product (1).ipynb"
    zipped = archive(tmp_path / "m.zip", {own: book("ada"), flat: book("alan")})
    assert main(["collect", "gauss", zipped, "--roster", str(table)]) == 0
    assert "alan" in submitted(course, "alan@x.org")[f"{BOOKS[1]}.ipynb"]
    give_points(course, **{"ada@x.org": 12.5, "alan@x.org": 0, "who@x.org": 1})
    filled, pages = tmp_path / "filled.csv", tmp_path / "feedback.zip"
    capsys.readouterr()
    assert main(["return", "gauss", str(table), "--to", str(filled), "--feedback", str(pages)]) == 1
    assert "1 graded here, and without a row there:\n  who@x.org" in capsys.readouterr().out
    wanted = MOODLE.replace('grading",,"52', 'grading","12,5","52').replace("submission,-,", 'submission,"0",')
    assert filled.read_bytes() == wanted.encode()
    assert sorted(pages_in(pages)) == sorted(name.replace(".ipynb", ".html") for name in (own, flat))


def test_who_waits_for_a_grade_by_hand_is_left_out_and_another_maximum_is_refused(course, tmp_path, capsys):
    give_points(course, ada=12.5, alan=3)
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}", "of-the-tests") as gradebook:
        gradebook.find_submission("gauss", "ada").notebooks[0].grades[0].needs_manual_grade = True
        gradebook.db.commit()
    table, filled = tmp_path / "canvas.csv", tmp_path / "filled.csv"
    table.write_bytes(CANVAS.encode())
    command = ["return", "gauss", str(table), "--column", "Lab 1", "--to", str(filled)]
    assert main(command) == 0
    assert "waits for a grade by hand (--waiting fills them in):\n  ada" in capsys.readouterr().out
    assert b'"Section ""A""",,9.50' in filled.read_bytes()
    assert main([*command, "--waiting"]) == 0
    assert b'"Section ""A""",12.5,9.50' in filled.read_bytes()
    table.write_bytes(CANVAS.replace(",52,", ",104,").encode())
    assert main(command) == 2
    assert "has 104 points for 'Lab 1 (4711)', and this course 52" in capsys.readouterr().err
    assert main([*command, "--scale", "--waiting"]) == 0
    assert b'"Section ""A""",25,9.50' in filled.read_bytes()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"Name,Points\nada,3\n", "it needs one of ID, Identifier and one of student"),
        (b"ID,student\n1,ada\n1,alan\n", "has the id 1 twice"),
        (b"ID,student\n1,ada\n2,ada\n", "has the student ada twice"),
        (b"ID,student\n1,../ada\n", "cannot be the name of a folder"),
        (b"ID,student\n1,Zo\xeb\n", "is not in UTF-8"),
    ],
)
def test_a_roster_by_which_nobody_can_be_told_is_refused(course, tmp_path, capsys, text, why):
    (tmp_path / "roster.csv").write_bytes(text)
    zipped = archive(tmp_path / "m.zip", {"a_1_2_1_pairs.ipynb": book("a")})
    assert main(["collect", "gauss", zipped, "--roster", str(tmp_path / "roster.csv")]) == 2
    assert why in capsys.readouterr().err
    assert not (course / "submitted").exists()


def test_what_is_no_download_or_no_column_is_refused(course, tmp_path, capsys):
    (tmp_path / "text.zip").write_text("no archive")
    assert main(["collect", "gauss", str(tmp_path / "text.zip")]) == 2
    assert "is neither a zip file nor a folder" in capsys.readouterr().err
    (tmp_path / "canvas.csv").write_bytes(CANVAS.encode())
    command = ["return", "gauss", str(tmp_path / "canvas.csv"), "--to", str(tmp_path / "f.csv")]
    assert main([*command, "--column", "Lab"]) == 2
    assert "has no columns 'Lab'; its columns are: Student, ID" in capsys.readouterr().err
    assert main(["return", "gauss", str(tmp_path / "none.csv"), "--to", "x.csv"]) == 2
    assert "there is no" in capsys.readouterr().err


@given(
    st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2), min_size=1),
    st.sampled_from(",;\t"),
)
def test_rows_are_those_of_the_csv_module(rows, delimiter):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL, delimiter=delimiter).writerows(rows)
    found = list(_rows(text.getvalue(), delimiter))
    assert [[field.value for field in row] for row in found] == rows
    for row in found:
        for field in row:
            raw = text.getvalue()[field.start : field.end]
            assert raw in (field.value, '"' + field.value.replace('"', '""') + '"')


def test_names_that_are_none_of_a_download(tmp_path):
    wrong = ("1_pairs.ipynb", "ada_1_pairs.ipynb", "a_1_2_other.ipynb", "a_1_2_1_pairs.py")
    assert [owner and _target(owner.rest, BOOKS) for owner in map(read_owner, wrong)][:2] == [None, None]
    assert [_target(read_owner(name).rest, BOOKS) for name in wrong[2:]] == [("other.ipynb", 0), None]
    (tmp_path / "r.csv").write_text("ID,SIS Login ID\n7,ada\n,\nx,y\n")
    assert list(read_roster(tmp_path / "r.csv")) == [("7", "ada", 1, "", "")]


# --- what a student chooses says nothing of who they are --------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "lms_id"),
    [
        ("lovelaceada_101_5001_victim_222_9999999_1_pairs.ipynb", "101"),
        ("lovelaceada_LATE_101_5001_LATE_222_9999_1_pairs.ipynb", "101"),
        ("Ada Lovelace_101_assignsubmission_file_x_222_assignsubmission_file_1_pairs.ipynb", "101"),
        ("Ada Lovelace_101_assignsubmission_file_/Victim_222_assignsubmission_file_/1_pairs.ipynb", "101"),
        ("Ada Lovelace_101_assignsubmission_file_/victim_222_9999_1_pairs.ipynb", "101"),
        ("lovelaceada_101_5001_lab/Victim_222_assignsubmission_file_/1_pairs.ipynb", "101"),
        ("submissions/Ada Lovelace_101_assignsubmission_file/1_pairs.ipynb", "101"),
        ("Ada Lovelace_101_assignsubmission_onlinetext_/V_222_assignsubmission_file_1_pairs.ipynb", None),
    ],
)
def test_only_what_the_system_wrote_says_whose_a_file_is(name, lms_id):
    owner = read_owner(name)
    assert (owner and owner.lms_id) == lms_id


def packed(names):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, text in names.items():
            file.writestr(name, text)
    return content.getvalue()


def test_a_students_archive_stays_theirs(course, tmp_path, capsys):
    table = tmp_path / "canvas.csv"
    table.write_bytes(CANVAS.encode())
    inner = packed({"turingalan_102_9999999_1_pairs.ipynb": book("stolen"), f"lab/{BOOKS[1]}.ipynb": book("own")})
    files = {
        "lovelaceada_101_5001_lab.zip": inner,
        f"turingalan_102_5002_{BOOKS[0]}.ipynb": book("alan"),
    }
    assert main(["collect", "gauss", archive(tmp_path / "s.zip", files), "--roster", str(table)]) == 0
    assert "alan" in submitted(course, "alan")[f"{BOOKS[0]}.ipynb"]
    assert "own" in submitted(course, "ada")[f"{BOOKS[1]}.ipynb"]
    assert "stolen" not in "".join(submitted(course, "alan").values())
    give_points(course, ada=1)
    pages = tmp_path / "feedback.zip"
    where = ["--column", "Lab 1", "--to", str(tmp_path / "t.csv"), "--feedback", str(pages)]
    assert main(["return", "gauss", str(table), *where]) == 0
    assert list(pages_in(pages)) == ["lovelaceada_101_5001_lab.zip_2_product.html"]
    capsys.readouterr()


def test_links_in_what_was_downloaded_are_not_followed(course, tmp_path, capsys):
    folder = tmp_path / "unpacked"
    folder.mkdir()
    (folder / f"lovelaceada_101_5001_{BOOKS[0]}.ipynb").symlink_to(course / "solutions" / "gauss" / f"{BOOKS[0]}.ipynb")
    (folder / f"turingalan_102_5002_{BOOKS[0]}.ipynb").write_text(book("alan"))
    (folder / "hoppergrace_103_5003_folder").symlink_to(course)
    linked = zipfile.ZipInfo(f"hoppergrace_103_5004_{BOOKS[0]}.ipynb")
    linked.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "links.zip", "w") as file:
        file.writestr(linked, "/etc/passwd")
    assert main(["collect", "gauss", str(folder), str(tmp_path / "links.zip")]) == 1
    said = capsys.readouterr().out
    assert "1 notebooks of 1 students" in said
    assert said.count("no file, but a link or the like") == 3
    assert not (course / "submitted" / "101").exists()
    assert not (course / "submitted" / "103").exists()


def damaged():
    """Yield archives that cannot be unpacked, by name."""
    good = packed({f"{BOOKS[1]}.ipynb": book("x" * 1000)})
    yield "empty.zip", b""
    yield "text.zip", b"no archive at all"
    yield "half.zip", good[: len(good) // 2]
    yield "no_end.zip", good[:-30]
    yield "checksum.zip", good.replace(b"xxxxxxxx", b"yyyyyyyy", 1)
    encrypted = bytearray(good)
    encrypted[6] |= 1
    encrypted[good.index(b"PK\x01\x02") + 8] |= 1
    yield "encrypted.zip", bytes(encrypted)
    method = bytearray(good)
    method[8:10] = method[good.index(b"PK\x01\x02") + 10 : good.index(b"PK\x01\x02") + 12] = b"\x63\x00"
    yield "method.zip", bytes(method)
    yield "cut.tar.gz", gzip.compress(b"x" * 1000)[:20]
    yield "text.tgz", b"no archive"
    yield "nested.zip", packed({"again.zip": good})
    yield "many.zip", packed({f"{i}.txt": "" for i in range(2100)})


def test_a_damaged_archive_costs_nobody_else_their_work(course, tmp_path, capsys):
    files = {f"turingalan_102_5002_{BOOKS[0]}.ipynb": book("alan")}
    files |= {f"lovelaceada_101_{6000 + i}_{name}": content for i, (name, content) in enumerate(damaged())}
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file, file.open(f"{BOOKS[2]}.ipynb", "w") as entry:
        for _ in range(300):
            entry.write(bytes(1 << 20))
    files["hoppergrace_103_7000_bomb.zip"] = bomb.getvalue()
    assert main(["collect", "gauss", archive(tmp_path / "s.zip", files)]) == 1
    said = capsys.readouterr().out
    assert "1 notebooks of 1 students" in said
    assert "alan" in submitted(course, "102")[f"{BOOKS[0]}.ipynb"]
    for name, _ in damaged():
        assert f"_{name}" in said, name
    assert "bomb.zip_3_entropy.ipynb: more than 256 MiB of one student" in said
    assert not (course / "submitted" / "101").exists()
    assert not list((course / "downloaded").rglob("extracted"))


def test_what_systems_add_is_nobodys_work_and_a_renamed_notebook_is_kept(course, tmp_path, capsys):
    inner = packed(
        {
            f"{BOOKS[0]}.ipynb": book("mine"),
            f"__MACOSX/._{BOOKS[0]}.ipynb": "resource fork",
            f".ipynb_checkpoints/{BOOKS[0]}-checkpoint.ipynb": book("old"),
            "Lab2 final.ipynb": book("another name"),
        }
    )
    zipped = archive(tmp_path / "s.zip", {"lovelaceada_101_5001_lab.zip": inner, "__MACOSX/._x": "", ".DS_Store": ""})
    assert main(["collect", "gauss", zipped]) == 0
    assert "2 notebooks of 1 students" in capsys.readouterr().out
    assert set(submitted(course, "101")) == {f"{BOOKS[0]}.ipynb", "Lab2 final.ipynb"}
    assert "mine" in submitted(course, "101")[f"{BOOKS[0]}.ipynb"]


def test_a_groups_work_goes_to_each_member(course, tmp_path, capsys):
    table, groups = tmp_path / "canvas.csv", tmp_path / "groups.csv"
    table.write_bytes(CANVAS.encode())
    groups.write_text(
        "name,canvas_user_id,user_id,login_id,sections,group_name,canvas_group_id,group_id\n"
        "Ada Lovelace,101,u1,ada,S,Team 7,55,\nAlan Turing,,,alan,S,Team 7,55,\nGrace Hopper,103,u3,grace,S,Other,56,\n"
    )
    zipped = archive(tmp_path / "s.zip", {f"team7_101_5001_{BOOKS[0]}.ipynb": book("of both")})
    command = ["collect", "gauss", zipped, "--roster", str(table)]
    assert main(command) == 1
    said = capsys.readouterr().out
    assert "with another name than the roster has. If it is a group's, only that student got its work" in said
    assert "team7: ada" in said
    assert main([*command, "--groups", str(groups)]) == 0
    assert "team7: ada, alan" in capsys.readouterr().out
    for student in ("ada", "alan"):
        assert "of both" in submitted(course, student)[f"{BOOKS[0]}.ipynb"]
    assert main(["collect", "gauss", zipped, "--groups", str(groups)]) == 2
    groups.write_text("name,team\nx,y\n")
    assert main([*command, "--groups", str(groups)]) == 2
    assert "it needs group_name and canvas_user_id" in capsys.readouterr().err


def test_the_number_of_a_moodle_group_is_no_participant(course, tmp_path, capsys):
    text = (
        'Identifier,"Full name","Email address",Group,Status,Grade,"Maximum Grade"\n'
        "Participant 7,Ada Lovelace,ada@x.org,Team 7,,,52\nParticipant 8,Alan Turing,alan@x.org,Team 7,,,52\n"
        "Participant 9,Grace Hopper,grace@x.org,,,,52\n"
    )
    table = tmp_path / "worksheet.csv"
    table.write_text(text)
    team = f"Team 7_9_assignsubmission_file/{BOOKS[0]}.ipynb"
    other = f"Team 8_9_assignsubmission_file/{BOOKS[1]}.ipynb"
    assert main(["collect", "gauss", archive(tmp_path / "m.zip", {team: book("team")}), "--roster", str(table)]) == 0
    for student in ("ada@x.org", "alan@x.org"):
        assert "team" in submitted(course, student)[f"{BOOKS[0]}.ipynb"]
    assert not (course / "submitted" / "grace@x.org").exists()
    assert main(["collect", "gauss", archive(tmp_path / "o.zip", {other: book("x")}), "--roster", str(table)]) == 1
    assert "the roster has Grace Hopper for the id 9, and not Team 8" in capsys.readouterr().out
    assert not (course / "submitted" / "grace@x.org").exists()
    older = f"Group A-Grace Hopper_9_assignsubmission_file_/{BOOKS[1]}.ipynb"
    assert main(["collect", "gauss", archive(tmp_path / "g.zip", {older: book("g")}), "--roster", str(table)]) == 0


@pytest.mark.parametrize(
    ("written", "name", "same"),
    [
        ("lovelaceada", "Lovelace, Ada", True),
        ("mllerjrgen", "Müller, Jürgen", True),
        ("muellerjrgen", "Müller, Jürgen", False),
        ("mullerjurgen", "Müller, Jürgen", True),
        ("Ada Lovelace", "Lovelace, Ada", True),
        ("Toni-Marie Noel", "Toni-Marie Noel", True),
        ("Gruppe 2-Toni-Marie Noel", "Toni-Marie Noel", True),
        ("team7", "Lovelace, Ada", False),
        ("王小明", "王小明", True),
    ],
)
def test_names_as_systems_write_them(written, name, same):
    assert _same_name(written, name) == same


TABLES = {
    "canvas with semicolons": (
        "Student;ID;SIS User ID;SIS Login ID;Section;Lab 1 (4711);Final\n;;;;;Manual Posting;\n"
        "    Points Possible;;;;;52;\nLovelace, Ada;101;u1;ada;S;;\nTuring, Alan;102;u2;alan;S;9,5;\n",
        "Lab 1",
        "Lovelace, Ada;101;u1;ada;S;12,5;\nTuring, Alan;102;u2;alan;S;3;\n",
    ),
    "blind moodle": (
        "Identifier,Status,Grade,Maximum Grade\nParticipant 101,Submitted,,52.00\nParticipant 102,Submitted,,52.00\n",
        None,
        "Participant 101,Submitted,12.5,52.00\nParticipant 102,Submitted,3,52.00\n",
    ),
    "german moodle": (
        'ID,"Vollständiger Name",E-Mail-Adresse,Status,Bewertung,Bestwertung,"Feedback als Kommentar"\n'
        'Teilnehmer/in101,"Ada Lovelace",ada,Abgegeben,,"52,00",\nTeilnehmer/in102,"Alan Turing",alan,,-,"52,00",\n',
        None,
        'Teilnehmer/in101,"Ada Lovelace",ada,Abgegeben,"12,5","52,00",\n'
        'Teilnehmer/in102,"Alan Turing",alan,,"3","52,00",\n',
    ),
    "byte order mark before a quoted header": (
        '\ufeff"Identifier","Full name","Email address","Grade","Maximum Grade"\n'
        '"Participant 101","Ada Lovelace","ada","","52.00"\n"Participant 102","Alan Turing","alan","","52.00"\n',
        None,
        '"Participant 101","Ada Lovelace","ada",12.5,"52.00"\n"Participant 102","Alan Turing","alan",3,"52.00"\n',
    ),
    "exempted": (
        "Student,ID,SIS Login ID,Lab 1 (4711)\n    Points Possible,,,52\nA,101,ada,EX\nB,102,alan,N/A\n",
        "Lab 1",
        "A,101,ada,EX\nB,102,alan,N/A\n",
    ),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_as_systems_write_them(course, tmp_path, capsys, kind):
    text, column, wanted = TABLES[kind]
    names = ("101", "102") if kind == "blind moodle" else ("ada", "alan")
    give_points(course, **dict(zip(names, (12.5, 3), strict=True)))
    table, filled = tmp_path / "t.csv", tmp_path / "f.csv"
    table.write_bytes(text.encode())
    assert main(["return", "gauss", str(table), "--to", str(filled), *(["--column", column] if column else [])]) == 0
    written = filled.read_bytes().decode()
    assert written.endswith(wanted)
    assert written.startswith(text[: text.index("101") - 20])
    if kind == "exempted":
        assert "as the table exempts them:\n  ada: EX\n  alan: N/A" in capsys.readouterr().out


def test_ids_that_differ_by_case_alone_are_refused(tmp_path):
    (tmp_path / "r.csv").write_text("ID,student\n1,Ada\n2,ada\n")
    with pytest.raises(CourseError, match="differ by case alone"):
        list(read_roster(tmp_path / "r.csv"))
