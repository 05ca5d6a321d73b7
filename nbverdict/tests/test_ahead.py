"""Kernels are prepared ahead only where there seems to be something to grade."""

import argparse
import os

import pytest

from nbverdict import ahead
from nbverdict.configuration import course_configuration


@pytest.fixture
def started(monkeypatch):
    found = []
    monkeypatch.setattr(ahead, "start_warm", found.append)
    return found


def test_nothing_starts_where_nothing_was_handed_in_since(tmp_path, started):
    command = argparse.Namespace(name="grade")
    options = argparse.Namespace(command=command, assignment="lab", student=None, seed=None, force=False)
    config = course_configuration(tmp_path)
    ahead.start(tmp_path, config, options)
    assert started == []
    work = tmp_path / "submitted" / "ada" / "lab"
    work.mkdir(parents=True)
    ahead.start(tmp_path, config, options)
    assert len(started) == 1
    (tmp_path / "grades" / "lab").mkdir(parents=True)
    known = tmp_path / "grades" / "lab" / "ada.json"
    known.write_text("{}")
    os.utime(known, (2e9, 2e9))
    ahead.start(tmp_path, config, options)
    assert len(started) == 1
    ahead.start(tmp_path, config, argparse.Namespace(**{**vars(options), "force": True}))
    assert len(started) == 2
