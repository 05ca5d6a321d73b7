"""The recipes of docs/instructor.md and docs/nbgrader-course.md, followed step by step."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

import nbverdict
from support import commands
from tests.conftest import MOST, ROOT
from tests.test_other_courses import GENERATED, NUMPY, run, scores


def recipe(title):
    """Return the blocks of a section of docs/instructor.md, by the name that stands before each."""
    text = (ROOT / "docs" / "instructor.md").read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^`([^`]+)`:\n\n```\w+\n(.*?)```$", text, flags=re.M | re.S))


def cells(blocks, name, points):
    """Return the two cells of a recipe, as the Create Assignment toolbar marks them."""
    made = []
    for block, marks in (
        ("answer", {"grade_id": f"{name}_answer", "grade": False, "solution": True, "locked": False}),
        ("graded cell", {"grade_id": name, "grade": True, "solution": False, "locked": True, "points": points}),
    ):
        made.append(new_code_cell(blocks[block].rstrip(), id=marks["grade_id"]))
        made[-1].metadata["nbgrader"] = {**marks, "task": False, "schema_version": 3}
    return made


def test_the_recipe_for_a_new_assignment(tmp_path):
    course = Path(shutil.copytree(NUMPY, tmp_path / "course", ignore=GENERATED))
    blocks = recipe("Write a new assignment")
    assert (course / "nbgrader_config.py").read_text() == blocks["nbgrader_config.py"]
    (course / "checks" / "probability").mkdir()
    (course / "checks" / "probability" / "mean.py").write_text(blocks["checks/probability/mean.py"])
    solved = course / "solutions" / "probability" / "1_mean.ipynb"
    solved.parent.mkdir()
    imports = new_code_cell("from autograder import check", id="imports")
    nbformat.write(new_notebook(cells=[imports, *cells(blocks, "mean", 3)]), solved)

    def run(*words):
        done = commands.run(course, *words)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    assert "Success!" in run("nbgrader", "validate", solved)
    run("nbgrader", "generate_assignment", "probability", "--force")
    released = course / "assignments" / "probability" / "1_mean.ipynb"
    assert "BEGIN SOLUTION" not in released.read_text()
    for student, notebook in (("ada", solved), ("gus", released)):
        folder = course / "submitted" / student / "probability"
        folder.mkdir(parents=True)
        shutil.copy(notebook, folder)
    said = run("autograder", "grade", "probability")
    assert re.search(r"ada +3/3", said)
    assert re.search(r"gus +0/3", said)
    assert scores(course) == {"ada": {"mean": 3}, "gus": {"mean": 0}}
    run("nbgrader", "generate_feedback", "probability")
    assert "mean: 3 of 3 points" in (course / "feedback" / "ada" / "probability" / "1_mean.html").read_text()


def test_the_recipe_for_a_new_exercise_of_the_lab(tmp_path):
    """In a copy of the repository, whose own tests then pass without a word about the new exercise."""
    written = (".git", ".venv", "build", "submitted", "autograded", "feedback", "grades", "gradebook.db*", "results")
    written += (".pytest_cache", ".ruff_cache", ".hypothesis")
    generated = shutil.ignore_patterns(*written, "__pycache__", "*.egg-info")
    lab = Path(shutil.copytree(ROOT, tmp_path / "lab", ignore=generated))
    environment = {**os.environ, "PYTHONPATH": str(lab)}
    blocks = recipe("Write a new exercise")
    for name in ("autograder/multiview_vae/standard_deviation.py", "tests/answers/standard_deviation.py"):
        (lab / name).write_text(blocks[name])
    notebook = lab / "solutions" / "multiview_vae" / "2_product_of_experts.ipynb"
    book = nbformat.read(notebook, as_version=4)
    after = next(i for i, cell in enumerate(book.cells) if cell.id == "product_of_experts")
    book.cells[after + 1 : after + 1] = cells(blocks, "standard_deviation", 2)
    book.cells[0].source = book.cells[0].source.replace("| a question", f"{blocks['row']}| a question")
    nbformat.write(book, notebook)

    run([sys.executable, "solutions/execute.py", notebook], lab, environment)
    run([sys.executable, "-m", "nbgrader", "generate_assignment", "multiview_vae", "--force"], lab, environment)
    run(["ruff", "check", "."], lab)
    run(["mypy"], lab)
    named = "standard_deviation or 2_product or project or enough or add_up or recipe or otter"
    tests = ["tests/test_checks.py", "tests/test_project.py", "tests/test_course.py"]
    tests.append("tests/test_benchmarks.py")
    said = run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:nbval", *tests, "-k", f"({named}) and not copy"],
        lab,
        environment,
    )
    assert re.search(r"\d\d passed", said)
    run([sys.executable, "examples/make_class.py"], lab, environment)
    expected = {"bao_textbook_product": MOST + 1, "lea_no_notebook": MOST - 15}
    for folder in (lab / "submitted").iterdir():
        if folder.name not in expected:
            shutil.rmtree(folder)
    run([sys.executable, "-m", "nbverdict", "grade", "multiview_vae", "--json", "found.json"], lab, environment)
    found = json.loads((lab / "found.json").read_text())
    assert {submission["student"]: submission["points"] for submission in found} == expected


def test_the_steps_of_a_course_that_has_nbgrader(tmp_path):
    """From plain nbgrader to the same grades, to checks outside, to an adapter."""
    page = (ROOT / "docs" / "nbgrader-course.md").read_text()
    config, adapter = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    (tmp_path / "nbgrader_config.py").write_text(config)
    source = tmp_path / "source" / "ps1" / "problem1.ipynb"
    source.parent.mkdir(parents=True)

    def marked(text, name, **marks):
        cell = new_code_cell(text, id=name.replace("_", "-"))
        usual = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
        cell.metadata["nbgrader"] = {**usual, "grade_id": name, **marks}
        return cell

    hidden = "    ### BEGIN SOLUTION\n{}\n    ### END SOLUTION"
    prices = "prices = pd.DataFrame({'town': ['a', 'b', 'a']})"
    solved = new_notebook(
        cells=[
            new_code_cell("import pandas as pd\nfrom nbverdict import check", id="imports"),
            marked(
                "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION",
                "answer",
                solution=True,
            ),
            marked("assert double(2) == 4\nassert double(1) == 2", "double_test", grade=True, locked=True, points=2),
            marked(hidden.format(prices), "table", solution=True),
            marked("assert len(prices) == 3", "table_test", grade=True, locked=True, points=3),
        ],
        metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}},
    )
    nbformat.write(solved, source)

    def words(*given):
        done = commands.run(tmp_path, *given)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def graded(again=False):
        if again:
            words("nbgrader", "db", "assignment", "remove", "ps1", "--force")
        words("nbgrader", "generate_assignment", "ps1", "--force")
        for student, notebook in (("ada", source), ("gus", tmp_path / "release" / "ps1" / "problem1.ipynb")):
            shutil.copytree(notebook.parent, tmp_path / "submitted" / student / "ps1", dirs_exist_ok=True)
        return re.findall(r"^(?:ada|gus) .*?(\S+)$", words("nbverdict", "grade", "ps1"), flags=re.M)

    assert graded() == ["5/5", "0/5"]
    said = commands.run(tmp_path, "nbverdict", "convert", "source/ps1/problem1.ipynb", "--in-place").stdout
    assert "left: table_test: line 1: prices is not made in this cell" in said
    assert graded() == ["5/5", "0/5"]
    page = tmp_path / "grades" / "ps1" / "index.html"
    assert "The points of table_test are only as good" in page.read_text()
    # The adapter, above a graded cell whose check calls it.
    book = nbformat.read(source, as_version=4)
    book.cells.insert(4, marked(adapter.rstrip(), "adapter", locked=True))
    book.cells[5].source = 'check("table_test", answer_to_question_3)'
    nbformat.write(book, source)
    (tmp_path / "checks" / "ps1" / "table_test.py").write_text(
        'import pytest\n\nEXERCISE = {"answer": "answer_to_question_3"}\n\n\n@pytest.mark.points(3)\n'
        'def test_towns(answer_to_question_3):\n    """Two in a, one in b."""\n'
        '    assert answer_to_question_3().to_dict() == {"a": 2, "b": 1}\n'
    )
    assert graded(again=True) == ["5/5", "0/5"]
    assert "only as good" not in page.read_text()


def small_recipes():
    """Return the recipes under "What instructors ask for" by their titles: solution cell and check file."""
    text = (ROOT / "docs" / "instructor.md").read_text().split("## What instructors ask for\n")[1].split("\n## ")[0]
    return {
        section.partition("\n")[0]: re.findall(r"```python\n(.*?)```", section, flags=re.S)
        for section in text.split("\n### ")[1:]
    }


def test_each_small_recipe_earns_everything_in_the_notebook_and_outside(tmp_path, monkeypatch):
    (tmp_path / "nbgrader_config.py").write_text(recipe("Write a new assignment")["nbgrader_config.py"])
    checks, source = tmp_path / "checks" / "small", tmp_path / "solutions" / "small" / "1_small.ipynb"
    checks.mkdir(parents=True)
    source.parent.mkdir(parents=True)
    (checks / "rates.txt").write_text("1\n3\n")
    book = new_notebook(cells=[new_code_cell("from nbverdict import check", id="imports")])
    names, given = [], {}
    for title, (answer, check) in small_recipes().items():
        (name,) = re.findall(r'EXERCISE = \{"answer": "(\w+)"', check)
        head = "import pytest\n\nfrom nbverdict.checks.diagnosis import compare\n\n"
        (checks / f"{name}.py").write_text(head + check)
        points = sum(map(float, re.findall(r"points\(([\d.]+)\)", check))) * (4 if "parametrize" in check else 1)
        solution = "### BEGIN SOLUTION\n" + answer.rstrip() + "\n### END SOLUTION"
        blocks = {"answer": solution, "graded cell": f'check("{name}", {name})'}
        book.cells += cells(blocks, name, points)
        names.append(name)
        exec(answer, given)
        monkeypatch.chdir(source.parent)
        report = nbverdict.check(name, given[name])
        assert report.score == report.max_score == points, f"{title}: {report}"
        assert nbverdict.check(name, lambda *inputs: None).score < points, title
    nbformat.write(book, source)
    done = commands.run(tmp_path, "nbgrader", "generate_assignment", "small")  # which grades the solution outside
    assert done.returncode == 0, done.stderr[-3000:]
    wrong = nbformat.read(tmp_path / "assignments" / "small" / "1_small.ipynb", as_version=4)
    for cell in wrong.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            name = cell.metadata.nbgrader.grade_id.removesuffix("_answer")
            cell.source = f"def {name}(*inputs):\n    return None"
    (tmp_path / "submitted" / "ada" / "small").mkdir(parents=True)
    nbformat.write(wrong, tmp_path / "submitted" / "ada" / "small" / "1_small.ipynb")
    done = commands.run(tmp_path, "nbverdict", "grade", "small", "--json", "found.json")
    assert done.returncode == 0, done.stderr[-3000:]
    (found,) = json.loads((tmp_path / "found.json").read_text())
    for outcome in found["outcomes"]:
        assert outcome["points"] < outcome["max_points"]
        assert all(check["judged"] for check in outcome["checks"]), outcome
