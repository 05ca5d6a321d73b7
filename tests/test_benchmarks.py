"""What the measuring scripts write, and that they see wrong points; the measuring itself is not for tests."""

import sys

import pytest

from tests.conftest import ROOT


@pytest.fixture
def grading(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import grading

    yield grading
    for name in ("grading", "stock"):
        sys.modules.pop(name, None)


def test_the_page_says_how_many_times_faster(grading, tmp_path):
    rows = {
        "stock": {"wall": 30.0, "cpu": 31.0, "start": 1.0, "faults": 1},
        "one_job": {"wall": 3.0, "cpu": 3.0, "start": 15.0, "faults": 0},
        "two_jobs": {"wall": 1.5, "cpu": 3.0, "start": 16.0, "faults": 0},
    }
    grown = [{"students": n, "seconds": 2.0 * n, "mib": 800.0, "mib_all": 2000.0, "faults": 0} for n in (10, 100)]
    text = grading.tables(rows, grown)
    assert "| this grader, two jobs | 1.50 | 3.00 | 20.0 | 16.0 | 0 |" in text
    assert "Two jobs are 2.00 times as fast as one." in text
    assert "| 100 | 200 | 800 | 2000 | 0 |" in text
    grading.figure(rows, grown, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_memory_is_that_of_a_child_and_its_children(grading, monkeypatch, tmp_path):
    monkeypatch.setattr(grading, "PAUSE", 0.1)
    hold = "b = bytearray(%d << 20); b[::4096] = bytes(len(b[::4096])); import time; time.sleep(2)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold % 60!r}])"
    with grading.memory() as peak:
        grading.run([sys.executable, "-c", parent], tmp_path)
    assert peak["mib"] < 50 < 60 < peak["mib_all"] < 150


@pytest.mark.parametrize("wrong", [{"product_of_experts": 14.0}, {}])
def test_wrong_points_of_otter_are_seen(grading, tmp_path, wrong):
    # 41 of 42 points: one exercise is not all right, and earns nothing there.
    (tmp_path / "submitted" / "bao_textbook_product-003").mkdir(parents=True)
    right = {"paired_dataset": 12.0, "product_of_experts": 0.0, "vae_loss": 15.0}

    def found(earned):
        return grading.faults("otter", tmp_path, grading.Cost(1, 1, f"a line\n{earned}\n".replace("'", '"')))

    assert found({"bao_textbook_product-003": right}) == []
    assert found({"bao_textbook_product-003": {**right, **wrong}} if wrong else {}) == ["bao_textbook_product-003"]
