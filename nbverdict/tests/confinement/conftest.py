"""Confined kernels, each in the ways that this machine has."""

import pytest

from nbverdict.confinement.layers import obstacles
from support.kernels import MODES, Kernel


@pytest.fixture(params=list(MODES))
def mode(request):
    name: str = request.param
    if obstacles()[name]:
        pytest.skip(f"{name}: {obstacles()[name]}")
    return name


@pytest.fixture
def submission(tmp_path):
    folder = tmp_path / "class" / "submission"
    folder.mkdir(parents=True)
    (folder / "own.txt").write_text("mine")
    return folder


@pytest.fixture
def kernel(mode, submission):
    started = Kernel(submission, MODES[mode])
    yield started
    started.close()
    assert not started.private.exists()


@pytest.fixture(params=["bubblewrap", "landlock"])
def watched(request, submission):
    """A kernel for what the watchdog ends, which does so in the same way whatever made the namespaces."""
    mechanisms = [name for name in MODES[request.param] if not obstacles()[name]]
    started = Kernel(submission, tuple(mechanisms))
    yield started
    started.close()
    assert not started.private.exists()
