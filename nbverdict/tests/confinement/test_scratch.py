"""What is copied for a kernel is bounded."""

import os

from nbverdict.confinement import scratch
from nbverdict.confinement.layers import Limits


def test_staging_is_bounded(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    with (source / "huge").open("wb") as file:
        file.truncate(1 << 40)
    (source / "small").write_text("x")
    assert scratch.stage(source, tmp_path / "target", Limits()) == ["huge"]
    assert os.listdir(tmp_path / "target") == ["small"]
