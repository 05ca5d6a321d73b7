"""Files are written whole, for others to read."""

import os
import stat

from nbverdict.classroom.results import to_json
from nbverdict.files import write_whole
from support.results import CLASS


def test_others_may_read_what_is_written(tmp_path):
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "results.json", to_json(CLASS[0]))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "results.json").stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [tmp_path / "results.json"]
