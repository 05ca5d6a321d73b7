"""Commands as people run them, forked from a process that has imported what they import: most of a command's time.

A fork runs the entry point with arguments, folder and environment of its own, and ends as a command does. It holds what
an import leaves behind, and a line to a process from which kernels are forked; nothing of another test. Tests that stop
commands by signals, or look at imports or at other processes, start commands of their own.
"""

import atexit
import functools
import importlib
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

from nbverdict.configuration import read_configuration
from nbverdict.confinement.forking import ForkServer, serve_forks
from nbverdict.imports import uncollected

BIN = Path(sys.executable).parent  # of the commands that tests start by themselves
_IMPORTS = ["nbgrader.apps.nbgraderapp", "nbverdict.classroom.command", "nbverdict.classroom.stock"]
_COURSES: list[Path] = []


def prepare(*courses, imports=()):
    """Name courses whose kernels, and modules whose imports, commands need not wait for; before the first `run`."""
    _COURSES.extend(courses)
    _IMPORTS.extend(imports)


def run(cwd, *words, python=sys.executable, environment=None):
    """Run `autograder`, `nbverdict` or `nbgrader` in a folder; return what `subprocess.run` would, as text.

    Another Python imports the packages that it has itself, for one course in one environment.
    """
    environment = dict(os.environ) if environment is None else environment
    if python == sys.executable:
        server = _server(python, (*map(str, _COURSES), *_IMPORTS), None)
    else:
        server = _server(python, (str(cwd), *_IMPORTS[:3]), tuple(environment.items()))
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        request = {"words": [str(word) for word in words], "cwd": str(cwd), "env": environment}
        status = server.fork(request, [out.fileno(), err.fileno()]).wait()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(words, status, *texts)


def nbgrader(course, *words, status=0):
    """Run `nbgrader` in a course, expect its exit status, and return what it logged."""
    result = run(course, "nbgrader", *words)
    assert result.returncode == status, result.stderr[-3000:]
    return result.stderr


@functools.cache
def _server(python, prepared, environment):
    # -P, so that what lies in this folder hides no package.
    server = ForkServer([python, "-P", __file__, *prepared], environment and dict(environment), cwd=os.getcwd())
    atexit.register(server.close)
    return server


def _serve(prepared):
    courses = [Path(one) for one in prepared if Path(one).is_dir()]
    with uncollected():
        for module in prepared[len(courses) :]:
            importlib.import_module(module)
        from alembic.script import ScriptDirectory
        from nbgrader import api, dbutil

        from nbverdict.confinement import provisioner
    # For each new gradebook nbgrader would start a process that imports it all, to read this revision.
    revision = ScriptDirectory(dbutil.ALEMBIC_DIR).get_current_head()
    api.get_alembic_version = lambda: revision
    for course in courses:
        provisioner.start_warm(read_configuration(course).config)
    serve_forks(_become)


def _become(request, handles):
    """Run a command in this process, to its end."""
    from nbverdict.confinement import provisioner, scratch

    # What is shared does not end with this fork.
    atexit.unregister(scratch.remove)
    for warm in provisioner._warm.values():
        atexit.unregister(warm.close)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for handle, stream in zip(handles, (1, 2), strict=True):
        os.dup2(handle, stream)
        os.close(handle)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    name, *sys.argv[1:] = request["words"]
    name = {"autograder": "nbverdict"}.get(name, name)  # a command of that module
    sys.path.insert(0, request["cwd"])
    runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _serve(sys.argv[1:])
