"""The private folder of one kernel: made, filled with a copy of the submission, given away, removed."""

import contextlib
import functools
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from nbverdict.confinement import CONFINED
from nbverdict.confinement.layers import Limits

_KEPT = ("LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def environment(home: Path, keep: Iterable[str] = (), extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The student's environment variables: a home of their own, and only the named ones of the grader's."""
    scripts = Path(sys.executable).parent
    return {
        **{name: os.environ[name] for name in (*_KEPT, *keep) if name in os.environ},
        "PATH": os.pathsep.join([str(scripts), os.defpath]),
        "HOME": str(home),
        "USER": "student",
        CONFINED: "yes",
        "TMPDIR": str(home / "tmp"),
        "MPLCONFIGDIR": str(home / ".matplotlib"),
        **(extra or {}),
    }


@functools.cache
def _font_lists() -> list[Path]:
    """matplotlib's list of fonts; without it each kernel takes seconds to build one, and says so on stderr."""
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = Path(os.environ.get("MPLCONFIGDIR", base / "matplotlib"))
    if not any(folder.glob("fontlist-*.json")):
        subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], check=False, capture_output=True)
    return list(folder.glob("fontlist-*.json"))


def make_home(home: Path) -> None:
    """Fill a new home: a folder for temporary files, and matplotlib's list of fonts."""
    home.mkdir(mode=0o700)
    (home / "tmp").mkdir()
    (home / ".matplotlib").mkdir()
    for fonts in _font_lists():
        shutil.copy(fonts, home / ".matplotlib")


def stage(source: Path, target: Path, limits: Limits) -> list[str]:
    """Copy a submission; links, devices and what exceeds the limits are left out. Returns what was left out."""
    left: list[str] = []
    size = count = 0
    folders = [(source, target)]
    while folders:
        here, there = folders.pop()
        there.mkdir(mode=0o700)
        for entry in sorted(here.iterdir()):
            status = entry.lstat()
            count += 1
            if count > limits.files // 2:
                return [*left, f"all after {count - 1} files"]
            if stat.S_ISDIR(status.st_mode):
                folders.append((entry, there / entry.name))
            elif stat.S_ISREG(status.st_mode) and size + status.st_size <= min(limits.file_size, limits.scratch // 2):
                size += status.st_size
                shutil.copyfile(entry, there / entry.name, follow_symlinks=False)
            else:
                left.append(str(entry.relative_to(source)))
    return left


def make_private() -> Path:
    """A new folder under a short path (a socket's has 107 characters at most), after removing those of dead graders."""
    short = os.name == "posix" and os.access("/tmp", os.W_OK | os.X_OK)
    base = Path("/tmp" if short else tempfile.gettempdir()).resolve()
    folder = Path(tempfile.mkdtemp(prefix=f"confined-{os.getpid()}-", dir=base))
    for old in base.glob("confined-*-*"):
        with contextlib.suppress(FileNotFoundError):  # another grader cleans up, too
            grader, mine = old.name.split("-")[1], old.lstat().st_uid == folder.stat().st_uid
            if mine and grader.isdigit() and not psutil.pid_exists(int(grader)):
                remove(old)
    folder.chmod(0o711)  # the user of the kernel may pass through it, but not list it
    return folder


def remove(folder: Path) -> None:
    """Delete a folder, whatever a student did to its depth and permissions."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except (OSError, RecursionError):
        if os.name == "posix":
            for command in ["chmod", "-R", "u+rwX"], ["rm", "-rf"]:
                subprocess.run([*command, str(folder)], check=False, stderr=subprocess.DEVNULL)


def give(uid: int, *places: Path) -> None:
    """Make a user the owner of these files and folders and of what is in them."""
    for place in places:
        for path in (place, *place.rglob("*")):
            os.chown(path, uid, uid, follow_symlinks=False)
