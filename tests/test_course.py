"""The release, and the made-up class graded by stock nbgrader: one source, no drift, the scores expected."""

import copy
import csv
import functools
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import nbformat
import numpy as np
import pytest
from nbgrader.api import Gradebook

from examples.make_class import CLASS, EXPECTED
from lab_utils import load_definition
from nbverdict.__main__ import main
from nbverdict.classroom.course import AssignmentRun, Course, CourseError
from nbverdict.classroom.scheduling import grade
from support import commands
from support.commands import BIN, nbgrader
from tests.conftest import ALL_CELLS, ALL_EXERCISES, CELLS, EXTENSION, ROOT, SOLUTIONS

NOTEBOOKS = sorted(path.name for path in SOLUTIONS.glob("*.ipynb"))
RELEASES = ROOT / "assignments"
# Those of both assignments, such as "cross_view/3_agreement.ipynb".
ALL_NOTEBOOKS = sorted(str(path.relative_to(ROOT / "solutions")) for path in (ROOT / "solutions").glob("*/*.ipynb"))


def make_course(folder, *assignments):
    """Write a course with this repository's configuration and solutions, released; return its folder."""
    shutil.copytree(ROOT / "solutions", folder / "solutions", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    for assignment in assignments:
        nbgrader(folder, "generate_assignment", assignment)
    return folder


def cells(path):
    return nbformat.read(path, as_version=4).cells


def nbgrader_cells(path):
    return {c.metadata.nbgrader.grade_id: c for c in cells(path) if "nbgrader" in c.metadata}


def output_of(cell):
    return "".join(output.get("text", "") for output in cell.outputs if output.output_type == "stream")


@pytest.fixture(scope="session")
def course(tmp_path_factory):
    """A course of its own: this repository's configuration and solutions, released, with the made-up class."""
    folder = make_course(tmp_path_factory.mktemp("course") / "course", "multiview_vae", "cross_view")
    with (folder / "nbgrader_config.py").open("a") as config:
        config.write("c.Execute.timeout = 15  # instead of 60: one of the class computes without end\n")
    make = [sys.executable, ROOT / "examples" / "make_class.py", "--into", folder / "submitted"]
    subprocess.run(make, check=True, capture_output=True)
    # Cells that only draw stay with two students, and with the one who handed in the release: they change no points.
    for path in (folder / "submitted").glob("[!abg]*/multiview_vae/2_*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells = [cell for cell in notebook.cells if cell.id not in ("densities", "live", "plane")]
        nbformat.write(notebook, path)
    return folder


@pytest.fixture(scope="session")
def graded(course):
    """The same course after stock `nbgrader autograde`."""
    log = nbgrader(course, "autograde", "multiview_vae")
    assert log.count("confinement: environment, scratch") > 30
    return course


def test_rebuilding_the_release_gives_the_committed_bytes(course):
    for _ in range(2):
        for name in ALL_NOTEBOOKS:
            assert (course / "assignments" / name).read_bytes() == (RELEASES / name).read_bytes(), name
        for assignment in ("multiview_vae", "cross_view"):
            nbgrader(course, "generate_assignment", assignment, "--force")


def test_the_release_holds_the_notebooks_and_nothing_else():
    assert sorted(str(path.relative_to(RELEASES)) for path in RELEASES.glob("*/*")) == ALL_NOTEBOOKS


@pytest.mark.parametrize("name", ALL_NOTEBOOKS)
def test_no_solution_survives_in_the_release(name):
    released = (RELEASES / name).read_text()
    assert "BEGIN SOLUTION" not in released
    assert "MARK SCHEME" not in released
    secret = []
    for cell in nbgrader_cells(ROOT / "solutions" / name).values():
        if cell.metadata.nbgrader.solution:
            inside = cell.cell_type == "markdown"
            for line in cell.source.splitlines():
                inside = (inside or "BEGIN SOLUTION" in line) and "END SOLUTION" not in line
                if inside and len(line.strip()) > 12 and "SOLUTION" not in line:
                    secret.append(line.strip())
    assert secret
    handed_out = "\n".join(cell.source for cell in cells(RELEASES / name))
    assert [line for line in secret if line in handed_out] == []
    assert all(not cell.get("outputs") for cell in cells(RELEASES / name))


@pytest.mark.parametrize("name", ALL_CELLS)
def test_the_title_of_a_notebook_gives_the_points_of_its_exercise(name):
    assignment = "cross_view" if name in EXTENSION.exercises else "multiview_vae"
    path = ROOT / "solutions" / assignment / f"{ALL_CELLS[name].notebook}.ipynb"
    assert nbgrader_cells(path)[name].metadata.nbgrader.locked
    assert f"| `{ALL_EXERCISES[name].answer}` | {ALL_CELLS[name].points:g} |" in cells(path)[0].source


@pytest.mark.parametrize("name", ALL_NOTEBOOKS)
def test_expected_output_is_what_the_solution_printed(name):
    stored = {cell.id: cell for cell in cells(ROOT / "solutions" / name)}
    text = next(cell.source for cell in stored.values() if "**Expected output**" in cell.source)
    expected = text.split("**Expected output**")[1].split("```")[1]
    assert output_of(stored["self-check"]).strip() == expected.strip()


@pytest.mark.parametrize("name", ALL_NOTEBOOKS)
def test_solutions_are_stored_executed_without_an_error(name):
    code = [cell for cell in cells(ROOT / "solutions" / name) if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]


@pytest.mark.parametrize("name", ALL_NOTEBOOKS)
def test_a_notebook_opens_with_objectives_and_asks_for_two_predictions_that_are_kept(name):
    released = cells(RELEASES / name)
    objectives = released[0].source.split("**You will be able to**")[1].split("\n\n")[0]
    assert objectives.count(";") == 2  # three of them
    kept = [cell for cell in released if "*Your prediction" in cell.source]
    assert len(kept) == 2
    assert all("**Predict**" in cell.source and "nbgrader" not in cell.metadata for cell in kept)
    assert any("**Change one thing**" in cell.source for cell in released)


def test_the_core_is_short():
    notebook = cells(RELEASES / "multiview_vae" / "3_multiview_vae.ipynb")
    assert len(notebook) < 30
    assert sum(len(cell.source.split()) for cell in notebook if cell.cell_type == "markdown") < 1300


def test_the_class_earns_what_is_expected(graded):
    scores = {}
    with Gradebook(f"sqlite:///{graded}/gradebook.db", "multiview-vae-lab") as gradebook:
        for submission in gradebook.assignment_submissions("multiview_vae"):
            grades = {grade.name: grade.score for notebook in submission.notebooks for grade in notebook.grades}
            scores[submission.student.id] = {name: grades[name] or 0.0 for name in CELLS}
    # Without a notebook, stock nbgrader does not see the student at all.
    assert scores == {student: points for student, points in EXPECTED.items() if student != "pia_nothing"}
    nbgrader(graded, "export")
    with (graded / "grades.csv").open() as file:
        exported = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert exported == {student: sum(points.values()) for student, points in scores.items()}


@pytest.fixture
def served(graded):
    """Yield the address of the page on which questions in words are graded, and the process that serves it."""
    command = [sys.executable, "-m", "nbverdict", "words", "multiview_vae"]
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # who runs the tests may ignore Ctrl-C
    with subprocess.Popen(command, cwd=graded, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        yield process.stderr.readline().strip(), process
        process.terminate()


def test_questions_in_words_are_graded_by_clicks(graded, served):
    address, process = served
    with urllib.request.urlopen(address) as answer:
        page = answer.read().decode()
    assert "1: the views share the digit and nothing else" in page
    assert "Both images show the same digit, and that is all they share" in page
    assert "<mi>\u03c3</mi>" in page  # a formula in an answer
    assert "<script" not in page
    assert "3 points,\n1 of" in page
    form = {"question": "paired_dataset_question", "student": "ada_full_marks", "point": ["0", "2"], "other": "0.5"}
    data = urllib.parse.urlencode({**form, "comment": "Well said.\nWhat of background?"}, doseq=True).encode()
    with urllib.request.urlopen(address, data=data) as answer:
        page = answer.read().decode()
        assert answer.url.endswith("#paired_dataset_question/ada_full_marks")
    assert "2.5 of 3" in page
    assert page.count('value="Well said."') > 10  # offered with everybody else's answer
    with Gradebook(f"sqlite:///{graded}/gradebook.db", "multiview-vae-lab") as gradebook:
        where = ("paired_dataset_question", "1_paired_dataset", "multiview_vae", "ada_full_marks")
        grade, comment = gradebook.find_grade(*where), gradebook.find_comment(*where)
        assert (grade.manual_score, grade.needs_manual_grade) == (2.5, False)
        assert comment.manual_comment == "Well said.\nWhat of background?"
    odd = [("point", "9"), ("point", "-1"), ("student", "nobody"), ("question", "x"), ("other", "y"), ("other", "nan")]
    for name, value in odd:
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(address, data=urllib.parse.urlencode(form | {name: value}).encode())
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(address.rsplit("/", 2)[0] + "/")
    process.send_signal(signal.SIGINT)
    assert "every grade is in the gradebook" in process.stderr.read()
    assert process.wait() == 0


def test_our_command_gives_the_same_scores_and_a_reason_for_each_lost_point(graded, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(graded)
    students = ["cleo_averages", "hana_syntax_error", "omar_wrong_name"]
    students += ["lea_no_notebook", "mats_broken_json", "pia_nothing"]
    for student in students:
        out = tmp_path / f"{student}.json"
        command = ["grade", "multiview_vae", "--student", student, "--json", str(out)]
        assert main(command) == 0
        shown = capsys.readouterr().out
        (entry,) = json.loads(out.read_text())
        assert {outcome["exercise"]: outcome["points"] for outcome in entry["outcomes"]} == EXPECTED[student]
        for outcome in entry["outcomes"]:
            assert bool(outcome["reasons"]) == (outcome["points"] < outcome["max_points"]), student
            assert all(reason in shown for reason in outcome["reasons"])

    def stored(student):
        return (graded / "grades" / "multiview_vae" / f"{student}.json").read_text()

    assert "average of the two experts' log-variances" in stored("cleo_averages")
    assert "The cell of product_of_experts has a syntax error in line 1: expected ':'." in stored("hana_syntax_error")
    assert '"error"' in stored("hana_syntax_error")
    assert "PairedDataset is not defined when the check runs. You defined PairDataset." in stored("omar_wrong_name")
    assert "2_product_of_experts.ipynb was not handed in" in stored("lea_no_notebook")
    assert "3_multiview_vae.ipynb is not a readable notebook" in stored("mats_broken_json")
    assert main(command) == 0
    assert "1 of them unchanged" in capsys.readouterr().out


def test_a_notebook_that_is_broken_later_keeps_no_stale_score_and_spares_its_neighbours(graded):
    notebook = graded / "submitted" / "bao_textbook_product" / "multiview_vae" / "2_product_of_experts.ipynb"
    whole = notebook.read_text()
    notebook.write_text(whole[:500])
    try:
        outcomes = grade(AssignmentRun(Course(graded), "multiview_vae"), "bao_textbook_product").outcomes
    finally:
        notebook.write_text(whole)
    assert [outcome.points for outcome in outcomes] == [12, 0, 15]
    assert "2_product_of_experts.ipynb is not a readable notebook" in outcomes[1].reasons[0]


def test_a_regrade_that_fails_replaces_the_old_score_and_keeps_what_was_graded_by_hand(graded, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no space left")

    def by_hand(gradebook):
        return gradebook.find_grade("paired_dataset_question", "1_paired_dataset", "multiview_vae", "ada_full_marks")

    with Gradebook(f"sqlite:///{graded}/gradebook.db", "multiview-vae-lab") as gradebook:
        by_hand(gradebook).manual_score = 2.5
        gradebook.db.commit()
    monkeypatch.setattr("nbverdict.notebooks.execute.ExecuteOutside.run", fail)
    outcomes = grade(AssignmentRun(Course(graded), "multiview_vae"), "ada_full_marks", force=True).outcomes
    assert {(outcome.points, outcome.status) for outcome in outcomes} == {(0, "error")}
    assert "nbgrader stopped at this submission: OSError: no space left" in outcomes[0].reasons[0]
    with Gradebook(f"sqlite:///{graded}/gradebook.db", "multiview-vae-lab") as gradebook:
        assert by_hand(gradebook).manual_score == 2.5


def test_a_seed_repeats_a_run(graded):
    seeds = {
        o.seed
        for o in grade(AssignmentRun(Course(graded, seed=5), "multiview_vae"), "cleo_averages", force=True).outcomes
    }
    assert seeds == {5}


def test_the_button_of_formgrader_gives_the_same_scores(graded):
    port, url = free_port(), "formgrader/api/submission/multiview_vae/emil_kl_sign/autograde"
    options = [f"--port={port}", "--no-browser", "--allow-root", "--ServerApp.token=t", "--ServerApp.port_retries=0"]
    options += ["--ServerApp.disable_check_xsrf=True", f"--ServerApp.root_dir={graded}"]
    extensions = '--ServerApp.jpserver_extensions={"nbgrader.server_extensions.formgrader": True}'
    with subprocess.Popen(
        [BIN / "jupyter", "server", *options, extensions], cwd=graded, stderr=subprocess.DEVNULL
    ) as it:
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{port}/{url}?token=t", data=b"", method="POST")
            answer = json.load(opened(request))
        finally:
            it.terminate()
    assert answer["success"], answer
    assert "confinement: environment, scratch" in answer["log"]
    with Gradebook(f"sqlite:///{graded}/gradebook.db", "multiview-vae-lab") as gradebook:
        submission = gradebook.find_submission("multiview_vae", "emil_kl_sign")
        grades = {grade.name: grade.auto_score for notebook in submission.notebooks for grade in notebook.grades}
    assert {name: grades[name] for name in CELLS} == EXPECTED["emil_kl_sign"]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def opened(request):
    """Open an address as soon as something listens there."""
    for _ in range(240):
        try:
            return urllib.request.urlopen(request, timeout=300)
        except urllib.error.HTTPError:
            raise
        except OSError:
            time.sleep(0.25)
    raise TimeoutError(request.full_url)


def test_feedback_shows_message_and_partial_credit_together(graded):
    nbgrader(graded, "generate_feedback", "multiview_vae")
    page = (graded / "feedback" / "cleo_averages" / "multiview_vae" / "2_product_of_experts.html").read_text()
    assert "product_of_experts: 5 of 15 points" in page
    assert "average of the two experts" in page
    assert "(Score: 5.0 / 15.0)" in page
    assert "torch.allclose" not in page


def test_the_untouched_release_fails_in_the_expected_cells(graded):
    options = ["--student=gus_untouched", "--force", "--ExecuteOutside.everything=True"]
    nbgrader(graded, "autograde", "multiview_vae", *options)
    failing = {}
    for name in NOTEBOOKS:
        path = graded / "autograded" / "gus_untouched" / "multiview_vae" / name
        failing[name] = [
            cell.id for cell in cells(path) if any(output.output_type == "error" for output in cell.get("outputs", []))
        ]
    assert failing == {
        "1_paired_dataset.ipynb": ["self-check", "result", "counts"],
        "2_product_of_experts.ipynb": ["self-check", "stable"],
        "3_multiview_vae.ipynb": ["self-check", "yours", "data", "begin", "training", "curves", "latent", "numbers"],
    }
    released = nbformat.read(graded / "autograded" / "gus_untouched" / "multiview_vae" / NOTEBOOKS[2], as_version=4)
    (shown,) = next(cell for cell in released.cells if cell.id == "yours").outputs
    assert "".join(shown.traceback) == (
        "NotebookError: PairedDataset is not written yet in 1_paired_dataset.ipynb. Write it there, save it, and run "
        "this again."
    )


def test_the_extension_is_released_graded_and_fed_back_like_the_core(course):
    """The solution earns everything, the stub nothing, and whoever hands in one wrong answer loses that exercise."""
    right = {path.stem: nbformat.read(path, as_version=4) for path in (ROOT / "assignments/cross_view").glob("*.ipynb")}
    for name, notebook in right.items():
        solved = nbgrader_cells(ROOT / "solutions" / "cross_view" / f"{name}.ipynb")
        for cell in notebook.cells:
            if cell.metadata.get("nbgrader", {}).get("solution") and cell.cell_type == "code":
                cell.source = solved[cell.metadata.nbgrader.grade_id].source
    for student, change in (
        ("right", lambda source: source),
        ("stub", None),
        (
            "mean",
            lambda source: source.replace("eta1, eta2 = mu1 * precision1, mu2 * precision2", "eta1, eta2 = mu1, mu2"),
        ),
    ):
        folder = course / "submitted" / student / "cross_view"
        folder.mkdir(parents=True)
        for name, notebook in right.items():
            handed_in = copy.deepcopy(notebook)
            for cell in handed_in.cells:
                cell.source = change(cell.source) if change else cell.source
            if not change:
                handed_in = nbformat.read(RELEASES / "cross_view" / f"{name}.ipynb", as_version=4)
            nbformat.write(handed_in, folder / f"{name}.ipynb")
    try:
        nbgrader(course, "autograde", "cross_view")
        nbgrader(course, "generate_feedback", "cross_view", "--student=mean")
        with Gradebook(f"sqlite:///{course}/gradebook.db", "multiview-vae-lab") as gradebook:
            scores = {
                submission.student.id: {g.name: g.auto_score for n in submission.notebooks for g in n.grades}
                for submission in gradebook.assignment_submissions("cross_view")
            }
        points = {name: ALL_CELLS[name].points for name in EXTENSION.exercises}
        assert sum(points.values()) == 26
        assert {name: scores["right"][name] for name in points} == points
        assert {name: scores["stub"][name] for name in points} == dict.fromkeys(points, 0)
        assert {name: scores["mean"][name] for name in points} == {**points, "agreement_scores": 2}
        page = (course / "feedback" / "mean" / "cross_view" / "3_agreement.html").read_text()
        assert "you took the mean for eta" in page
    finally:
        for student in ("right", "stub", "mean"):
            shutil.rmtree(course / "submitted" / student)


def test_the_solutions_validate(course):
    paths = [course / "solutions" / name for name in ALL_NOTEBOOKS]
    log = commands.run(course, "nbgrader", "validate", *paths)
    assert log.stdout.count("Success! Your notebook passes all the tests.") == len(paths), log.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["grade", "multivew_vae"], "no assignment is called 'multivew_vae' (released: cross_view, multiview_vae)"),
        (["grade", "multiview_vae", "--student", "nobody"], "nobody has no folder"),
        (["grade", "multiview_vae", "--json", "no/such/folder/file.json"], "the folder of no/such/folder/file.json"),
        (["watch", "multivew_vae"], "no assignment is called 'multivew_vae' (released: cross_view, multiview_vae)"),
        (["watch", "multiview_vae", "--every", "often"], "'often' is not a number of seconds from 0.1 to 3600"),
    ],
)
def test_mistyped_arguments_are_named(course, arguments, message):
    result = commands.run(course, "autograder", *arguments)
    assert result.returncode == 2
    assert message in result.stderr


def test_a_folder_that_is_no_course_is_named(tmp_path):
    with pytest.raises(CourseError, match="Run this in the folder of the course"):
        AssignmentRun(Course(tmp_path), "multiview_vae")


def test_the_class_is_large_enough_and_spares_other_students(tmp_path):
    assert len(CLASS) >= 12
    (tmp_path / "a_real_student").mkdir()
    make = [sys.executable, ROOT / "examples" / "make_class.py", "--into", tmp_path]
    refused = subprocess.run(make, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "a_real_student" in refused.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["a_real_student"]


def labels(counts):
    """Return made-up labels with these counts per digit, in an order without pattern."""
    return np.random.default_rng(0).permutation(np.repeat(np.arange(10), counts))


@pytest.mark.parametrize(
    ("mnist", "svhn", "pairs"),
    [
        (
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
            [4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659],
            56_068,
        ),
        (
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
            [1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595],
            10_000,
        ),
    ],
)
def test_the_official_labels_make_56068_and_10000_pairs(mnist, svhn, pairs):
    class Labels:
        def __init__(self, **kept):
            self.__dict__.update(kept)

    paired_dataset = load_definition(SOLUTIONS / "1_paired_dataset.ipynb", "PairedDataset")
    assert len(paired_dataset(Labels(targets=labels(mnist)), Labels(labels=labels(svhn)))) == pairs
