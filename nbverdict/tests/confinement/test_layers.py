"""Which layers keep code in here, and what is said of those that are missing."""

import subprocess
import sys
from pathlib import Path

import pytest

from nbverdict.confinement.layers import Confinement, ConfinementError, obstacles
from support.kernels import Kernel


def test_less_is_said_and_can_be_refused(submission):
    started = Kernel(submission, ())
    layers = {layer.name: layer for layer in started.provisioner.confinement.layers()}
    assert started.run("print(1)") == ("ok", "1\n")
    started.close()
    assert not layers["landlock"].active
    assert layers["landlock"].detail == "switched off"
    assert layers["scratch"].active
    with pytest.raises(ConfinementError, match="landlock"):
        Kernel(submission, (), require=True)


def test_a_folder_that_is_too_wide_is_refused():
    for folder in ("/", str(Path.home()), str(Path.home().parent)):
        with pytest.raises(ValueError, match="not a folder to show"):
            Confinement(readable=(folder,)).plan([], [])


def test_doctor():
    command = [sys.executable, "-m", "nbverdict", "doctor"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) >= 10
    for name, why in obstacles().items():
        assert any(f"{name}: {why}. Remedy: " in line for line in lines) == bool(why)
