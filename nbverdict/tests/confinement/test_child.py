"""A process confines itself."""

import subprocess
import sys
from dataclasses import asdict

import pytest

from nbverdict.confinement import scratch
from nbverdict.confinement.layers import Confinement
from support.kernels import MODES


def test_a_fork_enters_without_exec(mode, tmp_path):
    if mode == "bubblewrap":
        pytest.skip("bubblewrap is an exec; a warm process is started inside it")
    plan = Confinement(mechanisms=MODES[mode]).plan([str(tmp_path)], [])
    script = f"""
import os, pathlib, sys
sys.path[:0] = {sys.path!r}
from nbverdict.confinement import child
from support.kernels import opens
pid = os.fork()
if pid == 0:
    child.enter(child.Plan(**{asdict(plan)!r}))
    pathlib.Path({str(tmp_path / "written")!r}).write_text("x")
    os._exit(sum(map(opens, ("/etc/passwd", "/", "/root", "/home"))))
os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    if plan.uid is not None:
        scratch.give(plan.uid, tmp_path)
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "written").exists()
