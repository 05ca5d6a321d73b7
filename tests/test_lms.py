"""Round trips of a class through what Canvas and Moodle write and read, on made-up files in their formats.

Canvas: "How do I download all student submissions for an assignment?" and "How do I import grades in the Gradebook?"
(community.canvaslms.com, Instructor Guide). Moodle: "Assignment activity", with its grading worksheet, and "Using
Assignment", with feedback files in a zip (docs.moodle.org).
"""

import csv
import io
import shutil
import zipfile

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbgrader.api import Gradebook

from autograder.__main__ import main
from autograder.classroom.lms import _rows, read_name, read_roster
from tests.test_course import make_course

# nbgrader 0.9 adds rows in an order that newer SQLAlchemy releases warn about.
pytestmark = pytest.mark.filterwarnings("ignore:Object of type:sqlalchemy.exc.SAWarning")
BOOKS = ("1_paired_dataset", "2_product_of_experts", "3_multiview_vae")
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


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A course that has released the core."""
    return make_course(tmp_path_factory.mktemp("lms") / "course", "multiview_vae")


@pytest.fixture
def course(released, tmp_path, monkeypatch):
    shutil.copytree(released, tmp_path / "course")
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
    return {path.name: path.read_text() for path in (course / "submitted" / student / "multiview_vae").glob("*")}


def give_points(course, **points):
    """Let nbgrader's gradebook have these students, with feedback pages."""
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}", "multiview-vae-lab") as gradebook:
        for student, score in points.items():
            gradebook.update_or_create_student(student)
            submission = gradebook.update_or_create_submission("multiview_vae", student)
            grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
            for grade in grades:
                grade.auto_score, grade.needs_manual_grade = 0, False
            next(g for g in grades if g.name == "product_of_experts").manual_score = score
            gradebook.db.commit()
            folder = course / "feedback" / student / "multiview_vae"
            folder.mkdir(parents=True)
            (folder / f"{BOOKS[1]}.html").write_text(f"feedback for {student}")


def pages_in(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name).decode() for name in file.namelist()}


def test_a_class_comes_from_canvas_and_goes_back(course, tmp_path, capsys):
    table = tmp_path / "canvas.csv"
    table.write_bytes(CANVAS.encode())
    files = {
        "lovelaceada_101_5001_1_paired_dataset-2.ipynb": book("ada 1"),
        "lovelaceada_101_5002_2_product_of_experts.ipynb": book("old"),
        "lovelaceada_101_5003_2_product_of_experts-1.ipynb": book("ada 2"),
        "turingalan_LATE_102_5004_2_product_of_experts.ipynb": book("alan"),
        "hoppergrace_103_5005_holiday.png": "no notebook",
        "nobody_177_5006_2_product_of_experts.ipynb": book("of nobody on the roster"),
    }
    zipped = archive(tmp_path / "submissions.zip", files)
    assert main(["collect", "multiview_vae", zipped, "--roster", str(table)]) == 1
    said = capsys.readouterr().out
    assert "3 notebooks of 2 students are in" in said
    assert "hoppergrace_103_5005_holiday.png: no notebook of this assignment" in said
    assert "nobody_177_5006_2_product_of_experts.ipynb: the roster has no id 177" in said
    assert "1 left out, as there is a newer one of that name:\n  lovelaceada_101_5002" in said
    assert "1 marked late:\n  alan" in said
    assert "1 on the roster, and not in the download:\n  grace" in said
    assert "ada 1" in submitted(course, "ada")[f"{BOOKS[0]}.ipynb"]
    assert "ada 2" in submitted(course, "ada")[f"{BOOKS[1]}.ipynb"]
    # One notebook is handed in again: the other stays, and so does what was there.
    again = archive(tmp_path / "again.zip", {"lovelaceada_101_5009_1_paired_dataset-3.ipynb": book("ada, again")})
    assert main(["collect", "multiview_vae", again, "--roster", str(table)]) == 0
    assert "again" in submitted(course, "ada")[f"{BOOKS[0]}.ipynb"]
    assert "ada 2" in submitted(course, "ada")[f"{BOOKS[1]}.ipynb"]
    assert any("ada 1" in path.read_text() for path in (course / "downloaded").glob("*/replaced/*/ada/*"))
    give_points(course, ada=12.5, alan=3.25)
    filled, pages = tmp_path / "filled.csv", tmp_path / "feedback.zip"
    where = ["--column", "Lab 1", "--to", str(filled), "--feedback", str(pages)]
    assert main(["return", "multiview_vae", str(table), *where]) == 0
    wanted = CANVAS.replace('"Section ""A""",,9.50', '"Section ""A""",12.5,9.50').replace("alan,S,3,", "alan,S,3.25,")
    assert filled.read_bytes() == wanted.encode()
    assert pages_in(pages) == {
        "lovelaceada_101_5003_2_product_of_experts-1.html": "feedback for ada",
        "turingalan_LATE_102_5004_2_product_of_experts.html": "feedback for alan",
    }


def test_a_class_comes_from_moodle_and_goes_back(course, tmp_path, capsys):
    table = tmp_path / "worksheet.csv"
    table.write_bytes(MOODLE.encode())
    own = "Ada Lovelace_101_assignsubmission_file_/2_product_of_experts.ipynb"
    flat = "Alan Turing_102_assignsubmission_file_2_product_of_experts (1).ipynb"
    zipped = archive(tmp_path / "m.zip", {own: book("ada"), flat: book("alan")})
    assert main(["collect", "multiview_vae", zipped, "--roster", str(table)]) == 0
    assert "alan" in submitted(course, "alan@x.org")[f"{BOOKS[1]}.ipynb"]
    give_points(course, **{"ada@x.org": 12.5, "alan@x.org": 0, "who@x.org": 1})
    filled, pages = tmp_path / "filled.csv", tmp_path / "feedback.zip"
    capsys.readouterr()
    assert main(["return", "multiview_vae", str(table), "--to", str(filled), "--feedback", str(pages)]) == 1
    assert "1 graded here, and without a row there:\n  who@x.org" in capsys.readouterr().out
    wanted = MOODLE.replace('grading",,"52', 'grading","12,5","52').replace("submission,-,", 'submission,"0",')
    assert filled.read_bytes() == wanted.encode()
    assert sorted(pages_in(pages)) == sorted(name.replace(".ipynb", ".html") for name in (own, flat))


def test_who_waits_for_a_grade_by_hand_is_left_out_and_another_maximum_is_refused(course, tmp_path, capsys):
    give_points(course, ada=12.5, alan=3)
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}", "multiview-vae-lab") as gradebook:
        gradebook.find_submission("multiview_vae", "ada").notebooks[0].grades[0].needs_manual_grade = True
        gradebook.db.commit()
    table, filled = tmp_path / "canvas.csv", tmp_path / "filled.csv"
    table.write_bytes(CANVAS.encode())
    command = ["return", "multiview_vae", str(table), "--column", "Lab 1", "--to", str(filled)]
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
    zipped = archive(tmp_path / "m.zip", {"a_1_2_1_paired_dataset.ipynb": book("a")})
    assert main(["collect", "multiview_vae", zipped, "--roster", str(tmp_path / "roster.csv")]) == 2
    assert why in capsys.readouterr().err
    assert not (course / "submitted").exists()


def test_what_is_no_download_or_no_column_is_refused(course, tmp_path, capsys):
    (tmp_path / "text.zip").write_text("no archive")
    assert main(["collect", "multiview_vae", str(tmp_path / "text.zip")]) == 2
    assert "is neither a zip file nor a folder" in capsys.readouterr().err
    (tmp_path / "canvas.csv").write_bytes(CANVAS.encode())
    command = ["return", "multiview_vae", str(tmp_path / "canvas.csv"), "--to", str(tmp_path / "f.csv")]
    assert main([*command, "--column", "Lab"]) == 2
    assert "has no columns 'Lab'; its columns are: Student, ID" in capsys.readouterr().err
    assert main(["return", "multiview_vae", str(tmp_path / "none.csv"), "--to", "x.csv"]) == 2
    assert "there is no" in capsys.readouterr().err


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2), min_size=1))
def test_rows_are_those_of_the_csv_module(rows):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL).writerows(rows)
    found = list(_rows(text.getvalue()))
    assert [[field.value for field in row] for row in found] == rows
    for row in found:
        for field in row:
            raw = text.getvalue()[field.start : field.end]
            assert raw in (field.value, '"' + field.value.replace('"', '""') + '"')


def test_names_that_are_none_of_a_download(tmp_path):
    wrong = ("1_paired_dataset.ipynb", "ada_1_paired_dataset.ipynb", "a_1_2_other.ipynb", "a_1_2_1_paired_dataset.py")
    assert [read_name(name, BOOKS) for name in wrong] == [None] * 4
    (tmp_path / "r.csv").write_text("ID,SIS Login ID\n7,ada\n,\nx,y\n")
    assert list(read_roster(tmp_path / "r.csv")) == [("7", "ada", 1)]
