"""`watch` grades what is handed in as it comes."""

import shutil
import subprocess
import sys
import threading

from support.classes import CONFIG, NAME
from support.grading import family, finished, gone, wait_until


def test_what_arrives_is_graded_as_it_comes_and_feedback_is_written_for_who_changed(course, tmp_path):
    """And an odd folder stops nothing."""
    submitted, later = course / "submitted", tmp_path / "later"
    submitted.rename(later)
    shutil.copytree(later / "b_textbook", submitted / "b_textbook")
    command = [sys.executable, "-m", "nbverdict", "watch", "gauss", "--every", "0.2"]
    process = subprocess.Popen(command, cwd=course, stderr=subprocess.PIPE, text=True)
    limit = threading.Timer(300, process.kill)  # no line would come any more, and the test would wait for one
    limit.start()
    assert "waiting for" in process.stderr.readline()
    assert process.stderr.readline().split()[:2] == ["b_textbook", "14/42"]
    shutil.copytree(later / "f_right", submitted / "f_right")
    assert process.stderr.readline().split()[:2] == ["f_right", "15/42"]
    pages = [course / "feedback" / s / "gauss" / f"{NAME}.html" for s in ("b_textbook", "f_right")]
    page = course / "grades" / "gauss" / "index.html"
    wait_until(lambda: pages[1].exists() and "f_right" in page.read_text())
    before = [page.stat().st_mtime_ns for page in pages]
    (submitted / "a*b" / "gauss").mkdir(parents=True)
    assert "not graded: 'a*b'" in process.stderr.readline()
    assert process.stderr.readline() == "still waiting\n"
    shutil.rmtree(submitted / "a*b")
    with (course / "nbgrader_config.py").open("a") as half:
        half.write("\nc.Execute.")
    assert "SyntaxError" in process.stderr.readline()
    assert process.stderr.readline() == "still waiting\n"
    (course / "nbgrader_config.py").write_text(CONFIG)
    worse = later / "c_averages" / "gauss" / f"{NAME}.ipynb"
    shutil.copy(worse, submitted / "b_textbook" / "gauss")
    assert process.stderr.readline().split()[:2] == ["b_textbook", "5/42"]
    wait_until(lambda: pages[0].exists() and pages[0].stat().st_mtime_ns != before[0])
    assert pages[1].stat().st_mtime_ns == before[1]
    children = family(process.pid)
    process.terminate()
    assert "ended; what was graded is recorded" in finished(process, 0)
    limit.cancel()
    assert children
    assert gone(children)
