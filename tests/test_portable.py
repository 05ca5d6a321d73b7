"""What a student needs runs where there is no Linux: here, in a Python from which what only Unix has was taken."""

import subprocess
import sys

from tests.conftest import ROOT

# Other packages have their own ways on each system, so they are imported before.
ELSEWHERE = """
import builtins, importlib, os, pkgutil, signal, sys
import nh3, filelock, IPython, ipywidgets, matplotlib.pyplot, multiprocessing, nbformat, pandas, platformdirs.unix
import pytest, sklearn.manifold, subprocess, torch, torchvision, tqdm

for name in ("fork", "geteuid", "getuid", "killpg", "mkfifo", "O_NOFOLLOW", "sched_getaffinity", "setsid", "WNOHANG"):
    delattr(os, name)
for name in ("alarm", "pthread_sigmask", "setitimer", "SIGALRM", "SIGHUP", "SIGKILL"):
    delattr(signal, name)
UNIX = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios"}

def checked(name, globals=None, locals=None, fromlist=(), level=0, real=builtins.__import__):
    ours = (globals or {}).get("__name__", "").split(".")[0] in ("autograder", "lab_utils", "nbverdict")
    if ours and level == 0 and name.split(".")[0] in UNIX:
        raise ImportError(f"{globals['__name__']} imports {name}, which is on Unix only")
    return real(name, globals, locals, fromlist, level)

builtins.__import__ = checked
"""
STUDENT = """
import lab_utils
from autograder import check
for module in pkgutil.iter_modules(lab_utils.__path__):
    importlib.import_module(f"lab_utils.{module.name}")
print(len(lab_utils.load_views("test").mnist) > 0)
def product_of_experts(mu1, logvar1, mu2, logvar2):
    while True:
        raise ValueError("mine")
print(check("product_of_experts", product_of_experts).results[0].message.splitlines()[0])
"""


NEEDS_LINUX = """
import nbverdict.confinement.child
nbverdict.confinement.child.set_limits({})
"""


def test_what_students_use_runs_without_linux_and_a_module_that_needs_it_is_seen():
    """Data, checks, and whatever notebooks import; then, in the same process, one that must not pass."""
    command = [sys.executable, "-c", ELSEWHERE + STUDENT + NEEDS_LINUX]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "True\nproduct_of_experts raised ValueError: mine\n", done.stderr
    assert done.stderr.startswith("Traceback")  # and nothing, not even a warning, before that
    assert "nbverdict.confinement.child imports resource, which is on Unix only" in done.stderr
