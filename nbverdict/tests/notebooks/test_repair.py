"""Whatever a student hands in, a notebook comes out that can be graded, and every repair is told."""

import copy
import json
import os

import nbformat
import pytest

from nbverdict.notebooks.release import Release
from nbverdict.notebooks.repair import LEFT_OUT, MOST_BYTES, STATE, graded_form, put_aside, read
from support.classes import ASSIGNMENT

NAME = "2_product.ipynb"
ANSWER = "def product(mu1, logvar1, mu2, logvar2):\n    return mu1, logvar1\n"


@pytest.fixture
def release(released):
    return nbformat.read(released / "assignments" / ASSIGNMENT / NAME, as_version=4)


@pytest.fixture
def book(release):
    """A student's notebook."""
    notebook = copy.deepcopy(release)
    marked(notebook, "product_answer").source = ANSWER
    notebook.cells.insert(4, nbformat.v4.new_code_cell("mine = 1"))
    return notebook


def marked(notebook, grade_id):
    return next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def place(notebook, grade_id):
    return notebook.cells.index(marked(notebook, grade_id))


@pytest.fixture
def form(tmp_path, release):
    """Grade a notebook (or text, or bytes): returns what will be executed, after seeing that nbgrader can take it."""

    def form(content):
        path = tmp_path / NAME
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        notebook = graded_form(path, Release(release, {}))
        nbformat.validate(notebook)
        names = [c.metadata.nbgrader.grade_id for c in notebook.cells if "nbgrader" in c.metadata]
        assert sorted(names) == sorted(c.metadata.nbgrader.grade_id for c in release.cells if "nbgrader" in c.metadata)
        for cell in release.cells:
            if "nbgrader" in cell.metadata:
                again = marked(notebook, cell.metadata.nbgrader.grade_id)
                assert again.metadata.nbgrader == cell.metadata.nbgrader
                assert again.cell_type == cell.cell_type
                assert again.source == cell.source or not cell.metadata.nbgrader.locked
        assert place(notebook, "product") > place(notebook, "product_answer")
        return notebook

    return form


def told(notebook):
    return [(row["status"], row["message"]) for row in notebook.metadata[STATE].get("repairs", [])]


def test_an_honest_notebook_is_left_as_it_is(form, book):
    notebook = form(book)
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in book.cells]
    assert told(notebook) == []


def duplicated(book):
    book.cells.append(copy.deepcopy(marked(book, "product")))


def duplicated_answer(book):
    book.cells.insert(2, copy.deepcopy(marked(book, "product_answer")))
    book.cells[2].source = "x = 1"


def deleted(book):
    book.cells.remove(marked(book, "product"))


def renamed(book):
    marked(book, "product").metadata.nbgrader.grade_id = "vae_loss"


def renamed_answer(book):
    marked(book, "product_answer").metadata.nbgrader.grade_id = "mine"


def retyped(book):
    cell = marked(book, "product")
    cell.cell_type = "markdown"
    del cell["outputs"], cell["execution_count"]


def retyped_answer(book):
    cell = marked(book, "product_answer")
    cell.cell_type = "raw"
    del cell["outputs"], cell["execution_count"]


def stripped(book):
    for cell in book.cells:
        cell.metadata.clear()


def stripped_with_new_ids(book):
    for cell in book.cells:
        cell.metadata.clear()
        cell.id = nbformat.v4.new_raw_cell().id


def more_points(book):
    marked(book, "product").metadata.nbgrader.points = 1500


def unlocked(book):
    marked(book, "product").metadata.nbgrader.locked = False


def edited(book):
    marked(book, "product").source = "15"


def moved_up(book):
    cell = marked(book, "product")
    book.cells.remove(cell)
    book.cells.insert(0, cell)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (duplicated, "'product' was there 2 times"),
        (duplicated_answer, "'product_answer' was there 2 times"),
        (deleted, "'product' had been deleted; it was put back."),
        (renamed, "'product' had lost its name"),
        (renamed_answer, "'product_answer' had lost its name"),
        (retyped, "'product' had been turned into markdown"),
        (retyped_answer, "'product_answer' had been turned into raw"),
        (stripped, "'product' had lost its name"),
        (stripped_with_new_ids, "'product' had lost its name"),
        (more_points, "marks of the graded cell 'product' had been changed"),
        (unlocked, "marks of the graded cell 'product' had been changed"),
        (edited, "'product' had been changed; it was put back"),
    ],
)
def test_tampering_is_repaired_and_told(form, book, change, sentence):
    change(book)
    notebook = form(book)
    assert marked(notebook, "product_answer").source == ANSWER
    assert {status for status, _ in told(notebook)} == {"tampered"}
    assert sentence in "\n".join(message for _, message in told(notebook))
    assert "mine = 1" in [cell.source for cell in notebook.cells]


def test_a_graded_cell_above_its_answer_comes_after_it(form, book):
    moved_up(book)
    form(book)


def test_a_deleted_answer_is_told(form, book):
    book.cells.remove(marked(book, "product_answer"))
    assert "'product_answer' had been deleted; it was put back, empty." in told(form(book))[0][1]


def test_cells_of_the_students_own_carry_no_marks(form, book):
    book.cells.append(nbformat.v4.new_code_cell("100"))
    book.cells[-1].metadata["nbgrader"] = {"grade": True, "grade_id": "bonus", "points": 100, "solution": False}
    assert "nbgrader" not in form(book).cells[-1].metadata


def test_another_kernel_or_format_is_put_right_and_no_crime(form, book, release):
    book.metadata.kernelspec = {"name": "bash", "language": "bash", "display_name": "Bash"}
    book.nbformat = 99
    notebook = form(book)
    assert notebook.metadata.kernelspec == release.metadata.kernelspec
    assert notebook.nbformat == 4
    assert [status for status, _ in told(notebook)] == ["passed", "passed"]
    assert "'bash'" in told(notebook)[1][1]


@pytest.mark.parametrize("version", ["\x1b]0;mine\x07", "\ud800", ["\x1b[2J"]])
def test_a_format_cannot_reach_the_terminal(form, book, version):
    book.nbformat = version
    notebook = form(json.dumps(book))
    message = notebook.metadata["nbverdict"]["repairs"][0]["message"]
    assert "says that it has notebook format" in message
    assert message.isprintable()
    nbformat.writes(notebook).encode()


def test_the_old_format_is_read(form, book):
    old = nbformat.convert(book, 3)
    assert marked(form(old), "product_answer").source == ANSWER


def test_ids_that_are_twice_or_none(form, book):
    for cell in book.cells:
        cell.id = "same"
    form(book)
    for cell in book.cells:
        del cell["id"]
    form(book)


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "null", "{}", '{"cells": 3}', '{"cells": [1]}', "[" * 10**5),
        *(b"\xff\xfe\x00", b"\x00" * 1000, '{"cells": [{"cell_type": "code", "source": 5}], "metadata": []}'),
    ],
    ids=lambda content: str(content)[:20],
)
def test_what_is_no_notebook_is_refused(form, content):
    notebook = form(content)
    status, message = notebook.metadata[STATE]["refused"]
    assert status == "error"
    assert f"{NAME} is not a readable notebook" in message
    assert "hand it in again" in message
    assert "Not graded" in notebook.cells[0].source


def test_a_lone_surrogate_can_be_written_again(form, book):
    marked(book, "product_answer").source = "x = '\ud800'"
    nbformat.writes(form(json.dumps(book))).encode()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/etc/passwd", path)])
def test_what_is_no_file_is_refused(form, tmp_path, make):
    make(tmp_path / NAME)
    status, message = form(None).metadata[STATE]["refused"]
    assert status == "tampered"
    assert "is not a file" in message


def test_a_large_notebook_is_graded_without_its_outputs(form, book):
    cell = marked(book, "product_answer")
    cell.outputs = [nbformat.v4.new_output("stream", text="x" * (200 << 20))]
    notebook = form(book)
    assert marked(notebook, "product_answer").source == ANSWER
    assert told(notebook) == [("passed", f"{NAME} had 200 MiB; its outputs were not read.")]


def test_a_large_notebook_without_outputs_is_refused(form, book):
    book.cells.append(nbformat.v4.new_code_cell("x" * (MOST_BYTES + 1)))
    assert form(book).metadata[STATE]["refused"][0] == "error"


def test_links_and_devices_are_put_aside_under_a_name_that_is_ignored(tmp_path):
    folder = tmp_path / "submission"
    (folder / "deep").mkdir(parents=True)
    secret = tmp_path / "gradebook.db"
    secret.write_text("grades")
    (folder / "data.txt").write_text("data")
    (folder / "peek.txt").symlink_to(secret)
    (folder / "deep" / "up").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    put_aside(folder)
    put_aside(folder)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert names == ["data.txt", "deep", f"deep/up{LEFT_OUT}", f"peek.txt{LEFT_OUT}", f"pipe{LEFT_OUT}"]
    assert secret.read_text() == "grades"


def test_files_that_are_too_large_together_are_put_aside_and_said_so(tmp_path, book, release):
    (tmp_path / NAME).write_text(nbformat.writes(book))
    (tmp_path / "data.txt").write_text("data")
    with (tmp_path / "huge.bin").open("wb") as file:
        file.truncate(3 << 30)  # takes no room on the disk; its copy would
    put_aside(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, "data.txt", f"huge.bin{LEFT_OUT}"]
    told_of = told(graded_form(tmp_path / NAME, Release(release, {})))
    assert told_of == [("passed", "Graded without huge.bin: no file, or more than 256 MiB in all.")]


def test_marks_of_megabytes_are_not_read(tmp_path, book):
    """They would be copied for each cell."""
    marked(book, "product").metadata.nbgrader.update(points="9" * 1000, more=["x"] * 1000, solution=[{}])
    (tmp_path / NAME).write_text(json.dumps(book))
    cells, _ = read(tmp_path / NAME)
    marks = marked(nbformat.v4.new_notebook(cells=cells), "product").metadata.nbgrader
    assert sorted(marks) == ["cell_type", "checksum", "grade", "grade_id", "locked", "schema_version", "task"]
