"""The configuration of the lab's own course."""

import os

import psutil
from traitlets.config.loader import PyFileConfigLoader

from nbverdict.confinement.warm import Warm
from tests.conftest import ROOT


def test_what_every_cell_imports_can_be_imported_ahead_and_runs_nothing(tmp_path):
    """The lines of the configuration that execute every cell, which are commented out, import most."""
    text = (ROOT / "nbgrader_config.py").read_text().replace("\n# c.", "\nc.")
    (tmp_path / "nbgrader_config.py").write_text(text)
    config = PyFileConfigLoader("nbgrader_config.py", path=str(tmp_path)).load_config()
    preload = config.ConfinedProvisioner.preload
    assert config.ExecuteOutside.everything
    assert {"torch", "torch._dynamo", "sklearn.manifold"} <= set(preload)
    warm = Warm(preload, {"PATH": os.defpath, "OMP_NUM_THREADS": "1", "HOME": "/nonexistent", "MPLCONFIGDIR": "/tmp"})
    warm.start()
    process = psutil.Process(warm._process.pid)
    try:
        warm.fork({"log": os.devnull}).wait()  # it has imported everything before it forks
        assert process.num_threads() == 1
        assert process.children() == []
    finally:
        warm.close()
    assert warm._process.returncode == 0
