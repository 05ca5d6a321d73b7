"""The configuration of the lab's own course."""

from traitlets.config.loader import PyFileConfigLoader

from support.kernels import expect_nothing_runs
from tests.conftest import ROOT


def test_what_every_cell_imports_can_be_imported_ahead_and_runs_nothing(tmp_path):
    """The lines of the configuration that execute every cell, which are commented out, import most."""
    text = (ROOT / "nbgrader_config.py").read_text().replace("\n# c.", "\nc.")
    (tmp_path / "nbgrader_config.py").write_text(text)
    config = PyFileConfigLoader("nbgrader_config.py", path=str(tmp_path)).load_config()
    preload = config.ConfinedProvisioner.preload
    assert config.ExecuteOutside.everything
    assert {"torch", "torch._dynamo", "sklearn.manifold"} <= set(preload)
    expect_nothing_runs(preload)
