"""Commands as people run them, forked from a process that has imported what they import: most of a command's time.

A fork runs the entry point with arguments, folder and environment of its own, and ends as a command does. It holds what
an import leaves behind, and a line to a process from which kernels are forked; nothing of another test. Tests that stop
commands by signals, or look at imports or at other processes, start commands of their own.
"""

import atexit
import functools
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from nbverdict.configuration import read_configuration
from nbverdict.imports import uncollected

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent  # of the commands that tests start by themselves
IMPORTED = ("torch", "nbgrader.apps.nbgraderapp", "nbverdict.classroom.command", "nbverdict.classroom.stock")


def run(cwd, *words, python=sys.executable, environment=None):
    """Run `autograder` or `nbgrader` with arguments in a folder; return what `subprocess.run` would, as text.

    Another Python imports the packages that it has itself, for one course in one environment.
    """
    environment = dict(os.environ) if environment is None else environment
    other = python != sys.executable
    line = _line(python, *((str(cwd), tuple(environment.items())) if other else (str(ROOT), None)))
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        request = {"words": [str(word) for word in words], "cwd": str(cwd), "env": environment}
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with mine:
            with theirs:
                socket.send_fds(line, [json.dumps(request).encode()], [out.fileno(), err.fileno(), theirs.fileno()])
            status = int(mine.recv(64))
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(words, status, *texts)


@functools.cache
def _line(python, configured, environment):
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [python, "-P", __file__, configured]  # so that what lies in this folder hides no package
    with theirs:
        process = subprocess.Popen(command, stdin=theirs.fileno(), cwd=ROOT, env=environment and dict(environment))
    atexit.register(process.wait)
    atexit.register(mine.close)
    return mine


def _serve(configured):
    with uncollected():
        for module in IMPORTED:
            importlib.import_module(module)
        from alembic.script import ScriptDirectory
        from nbgrader import api, dbutil

        from nbverdict.confinement import provisioner, scratch
    # For each new gradebook nbgrader would start a process that imports it all, to read this revision.
    revision = ScriptDirectory(dbutil.ALEMBIC_DIR).get_current_head()
    api.get_alembic_version = lambda: revision
    provisioner.start_warm(read_configuration(configured).config)
    line = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    while True:
        text, handles, _, _ = socket.recv_fds(line, 1 << 20, 3)
        if not text:
            return
        pid = os.fork()
        if pid == 0:
            # What is shared does not end with this fork.
            atexit.unregister(scratch.remove)
            for warm in provisioner._warm.values():
                atexit.unregister(warm.close)
            line.close()
            _become(handles, **json.loads(text))
            return
        _, status = os.waitpid(pid, 0)
        with socket.socket(fileno=handles[2]) as told:
            told.send(str(os.waitstatus_to_exitcode(status)).encode())
        for handle in handles[:2]:
            os.close(handle)


def _become(handles, words, cwd, env):
    """Run a command in this process, to its end."""
    os.dup2(handles[0], 1)
    os.dup2(handles[1], 2)
    for handle in handles:
        os.close(handle)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    name, *sys.argv[1:] = words
    name = {"autograder": "nbverdict"}.get(name, name)  # a command of that module
    sys.path.insert(0, cwd)
    runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
