"""What the measuring scripts write, and that they see wrong points; the measuring itself is not for tests."""

import json
import subprocess
import sys
from argparse import Namespace
from statistics import mean

import nbformat
import pytest

from benchmarks import ablation, grading, training
from examples.make_class import POINTS
from tests.conftest import ROOT


def test_the_page_says_how_many_times_faster(tmp_path):
    rows = {
        "stock": {"wall": 30.0, "cpu": 31.0, "start": 1.0, "faults": 1},
        "one_job": {"wall": 3.0, "cpu": 3.0, "start": 15.0, "faults": 0},
        "two_jobs": {"wall": 1.5, "cpu": 3.0, "start": 16.0, "faults": 0},
    }
    grown = [{"students": n, "seconds": 2.0 * n, "mib": 800.0, "mib_all": 2000.0, "faults": 0} for n in (10, 100)]
    text = grading.tables(rows, grown, {"imports": 5.0, "start": 9.0, "unchanged": 2.0})
    assert "| from the command to the first grade, one student | 9.0 | 1.80 |" in text
    assert "| this grader, two jobs | 1.50 | 3.00 | 20.0 | 16.0 | 0 |" in text
    assert "Two jobs are 2.00 times as fast as one." in text
    assert "| 100 | 200 | 800 | 2000 | 0 |" in text
    grading.figure(rows, grown, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_memory_is_that_of_a_child_and_its_children(monkeypatch, tmp_path):
    monkeypatch.setattr(grading, "PAUSE", 0.1)
    hold = "b = bytearray(%d << 20); b[::4096] = bytes(len(b[::4096])); import time; time.sleep(2)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold % 60!r}])"
    waits = "b = bytearray(200 << 20); b[::4096] = bytes(len(b[::4096])); print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", waits], **pipes) as other:
        other.stdout.readline()  # a child of this process from before: none of the command's
        with grading.memory() as peak:
            grading.run([sys.executable, "-c", parent], tmp_path)
        other.communicate(b"\n")
    assert peak["mib"] < 50 < 60 < peak["mib_all"] < 150


@pytest.mark.parametrize("wrong", [{"product_of_experts": 14.0}, {}])
def test_wrong_points_of_otter_are_seen(tmp_path, wrong):
    # One point is lost: that exercise is not all right, and earns nothing there.
    (tmp_path / "submitted" / "bao_textbook_product-003").mkdir(parents=True)
    right = POINTS | {"product_of_experts": 0.0}

    def found(earned):
        return grading.faults("otter", tmp_path, grading.Cost(1, 1, f"a line\n{earned}\n".replace("'", '"')))

    assert found({"bao_textbook_product-003": right}) == []
    assert found({"bao_textbook_product-003": {**right, **wrong}} if wrong else {}) == ["bao_textbook_product-003"]


def test_the_page_of_training_gives_ratios_and_when_an_elbo_was_reached():
    measured = {"original": [(4.0, -900.0), (8.0, -600.0)], "ours": [(2.0, -950.0), (4.0, -700.0)]}
    rates = {"original": 480.0, "ours": 960.0}
    text = training.report(measured, rates, Namespace(steps=60, threads=1, compile=False, elbo=-650.0))
    assert "| a loop like the original lab's | 480 | 2.00 | 4.0 | 4.0 | 8.0 | -600 |" in text
    assert "| the extension's recipe | 960 | 1.00 | 2.0 | 2.0 | not reached | -700 |" in text
    assert "benchmarks.training --steps 60 --threads 1 --docs" in text
    assert "A GPU runs the same loop; nothing needs one." in text


def test_the_page_of_the_ablation_has_mean_and_spread(tmp_path):
    metrics = dict.fromkeys((*ablation.METRICS, *ablation.REBUILT, "linear_probe"), 0.5)
    where = {"judges": {"mnist": 0.99, "svhn": 1.0}, "torch": "2.9", "device": "cpu"}
    runs = {f"a row | 8 epochs | seed {seed}": {**metrics, "joint": 0.2 * seed, **where} for seed in range(3)}
    runs["a row | 8 epochs | seed 2"] |= {"torch": "2.8", "device": "cuda", "judges": {"mnist": 0.98, "svhn": 1.0}}
    text = ablation.page(runs, {"a row": 8}, "embedded", 5816, tmp_path / "ablation-other.json")
    assert "| a row | 8 | 3 | 0.500 ± 0.000 | 0.500 ± 0.000 | 0.200 ± 0.200 | 0.500 ± 0.000 |" in text
    assert "(ablation-other.png)" in text
    assert ablation.figure(runs, {"a row": 8}).axes
    assert "Trained on a GPU with PyTorch 2.8 or a processor with PyTorch 2.9." in text
    assert "MNIST at least 0.980" in text


def test_the_tables_of_the_notebooks_are_those_of_the_ablation():
    runs = json.loads((ROOT / "docs" / "ablation.json").read_text())
    found = []
    for path in (ROOT / "solutions").glob("*/*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            for name, *cells in (line.strip("| ").split(" | ") for line in cell.source.splitlines() if "|" in line):
                if name in ablation.ROWS:
                    metrics = ablation.select(runs, name, ablation.ROWS[name].epochs)
                    means = {key: mean(run[key] for run in metrics) for key in (*ablation.METRICS, "linear_probe")}
                    if path.parent.name == "multiview_vae":
                        read = [mean(run["reconstructions"][view] for run in metrics) for view in ("mnist", "svhn")]
                        means = dict(enumerate(read)) | means
                    assert cells == [f"{value:.2f}" for value in means.values()], (path.name, name)
                    assert len(metrics) >= 3
                    found.append(name)
    assert set(found) == set(ablation.ROWS) - {"the recipe for photographs"}  # of which docs/real.md tells
