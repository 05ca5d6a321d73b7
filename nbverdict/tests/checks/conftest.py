"""Answers that are checked in their own process, in the course around their notebook."""

import pytest

from support.classes import ASSIGNMENT


@pytest.fixture
def around(released, monkeypatch):
    """The course around the notebook that checks its answers."""
    monkeypatch.chdir(released / "solutions" / ASSIGNMENT)
    return released
