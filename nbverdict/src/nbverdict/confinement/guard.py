"""The guard of one kernel: it relays and counts output, measures the whole process tree, and ends all of it."""

import asyncio
import contextlib
import functools
import logging
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import psutil

from nbverdict.clock import Clock
from nbverdict.confinement.layers import Limits

INTERVAL = 0.2  # seconds between two measurements
MOST_SENT = 16  # open files that may be on their way from one of its processes to another
_SENT = re.compile(rb"^scm_fds:\s*(\d+)$", flags=re.M)  # in what Linux says of an open socket


class Process(Protocol):
    """What a guard needs of a process: `subprocess.Popen` has it, and so has `forking.Forked`."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self) -> int: ...

    def kill(self) -> None: ...


class Guard(threading.Thread):
    """Starts a process and ends it, with all that it started, when it passes a limit; `reason` then says which.

    The process is started from this thread: the system sends the "parent died" signal when the thread that forked ends,
    and a notebook client's threads come and go. It runs in `folder`; all that lies beside that folder counts as
    written. `sockets` are pairs of the grader's end and the kernel's end; `shared_as` is the user of a kernel
    that sees the /dev/shm of all, None if it has its own.
    """

    def __init__(
        self,
        start: Callable[[], Process],
        folder: Path,
        sockets: Mapping[Path, Path],
        shared_as: int | None,
        limits: Limits,
        log: logging.Logger | logging.LoggerAdapter[logging.Logger],
    ) -> None:
        super().__init__(name="confinement-guard", daemon=True)
        self.start_process, self.folder = start, folder
        self.sockets, self.shared_as, self.limits, self.log = sockets, shared_as, limits, log
        self.process: Process | None = None
        self.reason: str | None = None
        self.last_words = ""
        self.error: BaseException | None = None  # of the guard itself
        self._ready = threading.Event()
        self._sent = 0
        self._since = time.time()
        self._hiding: set[int] = set()
        self._relays: list[asyncio.Task[None]] = []

    def launch(self) -> Process:
        """Start the thread and the process; raise RuntimeError if the process cannot be started."""
        self.start()
        self._ready.wait()
        if self.process is None:
            raise RuntimeError("the kernel could not be started") from self.error
        return self.process

    def run(self) -> None:
        """Run the thread; if the guard itself fails, the kernel ends too."""
        try:
            asyncio.run(self._watch())
        except Exception as error:
            self.error = error
            self.log.exception("the guard of a kernel failed")
        finally:
            self.stop()
            with contextlib.suppress(OSError):
                self.last_words = _end(self.folder.parent / "kernel.log", 1000)
            self._ready.set()

    def stop(self, reason: str | None = None) -> None:
        """End the kernel and everything below it."""
        if reason and not self.reason:
            self.reason = reason
            self.log.warning("kernel ended: %s", reason)
        if self.process is not None:
            for _ in range(100):  # a fork bomb may outrun the first rounds
                below = self._tree()
                for process in below:
                    with contextlib.suppress(psutil.Error):
                        process.kill()
                if not below:
                    break
                time.sleep(0.01)
            self.process.kill()
            self.process.wait()
            for path, status in self._shared():
                if not _mapped(status):
                    Path(path).unlink(missing_ok=True)

    async def _watch(self) -> None:
        servers = [
            await asyncio.start_unix_server(functools.partial(self._accept, inside), path=outside)
            for outside, inside in self.sockets.items()
        ]
        self.process = self.start_process()
        clock, measured = Clock(), 0.0
        self._ready.set()
        while self.process.poll() is None and not self.reason:
            ran = clock.seconds()
            if ran > self.limits.wall:
                self.stop(f"it ran for more than {self.limits.wall} seconds")
            elif ran - measured > INTERVAL:
                measured = ran
                if excess := self._measure():
                    self.stop(excess)
            await asyncio.sleep(0.02)
        for server in servers:
            server.close()

    # --- output ------------------------------------------------------------------------------------------------------

    def _accept(self, inside: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not a coroutine: asyncio would report the cancellation of a connection as a fault.
        self._relays.append(asyncio.create_task(self._relay(inside, reader, writer)))

    async def _relay(self, inside: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                try:
                    kernel_reader, kernel_writer = await _connect(inside)
                    break
                except OSError:  # not listening yet
                    await asyncio.sleep(0.005)
            await asyncio.gather(self._pump(reader, kernel_writer, 0), self._pump(kernel_reader, writer, 1))
        finally:
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, weight: int) -> None:
        try:
            while data := await reader.read(1 << 16):
                self._sent += weight * len(data)
                if self._sent > self.limits.output:
                    self.stop(f"it sent more than {self.limits.output >> 20} MiB")
                    break
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    # --- watchdog ----------------------------------------------------------------------------------------------------

    def _tree(self) -> list[psutil.Process]:
        if self.process is None:
            return []
        try:
            return list(psutil.Process(self.process.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def _shared(self) -> list[tuple[str, os.stat_result]]:
        """What this kernel's user has put into a shared /dev/shm since the start."""
        if self.shared_as is None:
            return []
        files = (entry for entry in _entries("/dev/shm") if stat.S_ISREG(entry[1].st_mode))  # Landlock allows no folder
        return [f for f in files if f[1].st_uid == self.shared_as and f[1].st_ctime >= self._since]

    def _measure(self) -> str | None:
        """The limit that is exceeded now, as a sentence; None if none is."""
        tree, limits = self._tree(), self.limits
        if len(tree) > limits.processes:
            return f"it had more than {limits.processes} processes"
        # Pages that processes share count once; the cheaper sum, which counts them repeatedly, is never smaller.
        if sum(map(_rss, tree)) > limits.memory and sum(map(_pss, tree)) > limits.memory:
            return f"it used more than {limits.memory >> 20} MiB of memory"
        held = {process.pid: _open(process) for process in tree}
        before, self._hiding = self._hiding, {pid for pid, files in held.items() if files is None}
        if before & self._hiding:  # once may be a process that is just ending
            return "it had a process that hid from the watchdog"
        found = [files for files in held.values() if files]
        if sum({socket: sent for files in found for socket, sent in files.sent.items()}.values()) > MOST_SENT:
            return f"it had more than {MOST_SENT} open files that were sent and not received"
        unlinked = {file: size for files in found for file, size in files.unlinked.items()}
        count, size = len(unlinked), sum(unlinked.values())
        try:
            for _, status in [*_walk(str(self.folder.parent)), *self._shared()]:
                count, size = count + 1, size + getattr(status, "st_blocks", 0) * 512
        except OSError:  # too deep for a path, or shut to us
            return "it made folders that nobody can look into"
        if count > limits.files:
            return f"it had more than {limits.files} files"
        if size > limits.scratch:
            return f"it wrote more than {limits.scratch >> 20} MiB"
        return None


async def _connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a socket in a folder where students write: a link there must not lead the grader elsewhere."""
    if not hasattr(os, "O_PATH"):
        return await asyncio.open_unix_connection(path)
    handle = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        return await asyncio.open_unix_connection(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def _end(path: Path, most: int) -> str:
    """Return the end of a text file, which may be huge."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4 * most))
        return file.read().decode(errors="replace")[-most:].strip()


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _pss(process: psutil.Process) -> int:
    """Resident bytes, shared pages divided among those who share; all of them where the system does not tell."""
    try:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:  # another system, or a process that made itself undumpable
        pass
    return _rss(process)


def _mapped(file: os.stat_result) -> bool:
    """Whether a running process still uses this shared memory: then it belongs to a neighbour of the same user.

    It is found by its inode number, as a semaphore has another name in the memory map of the process that made it.
    """
    number = f" {os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x} {file.st_ino} "
    for pid in psutil.pids():
        try:
            if number in Path(f"/proc/{pid}/maps").read_text():
                return True
        except OSError:
            pass
    return False


class _Open(NamedTuple):
    """What the open files of a process hold where no folder shows it; files and sockets by device and inode number."""

    unlinked: dict[tuple[int, int], int]  # bytes of files without a name
    sent: dict[tuple[int, int], int]  # files on their way through a socket, which no process has open any more


def _open(process: psutil.Process) -> _Open | None:
    """Return what a process holds; None if it hides that."""
    found, folder = _Open({}, {}), f"/proc/{process.pid}"
    try:
        for number in os.listdir(f"{folder}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed while we look
                status = os.stat(f"{folder}/fd/{number}")
                if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                    found.unlinked[status.st_dev, status.st_ino] = status.st_blocks * 512
                if stat.S_ISSOCK(status.st_mode) and (sent := _SENT.search(_read(f"{folder}/fdinfo/{number}"))):
                    found.sent[status.st_dev, status.st_ino] = int(sent[1])
    except PermissionError:
        with contextlib.suppress(psutil.Error):
            return _Open({}, {}) if process.status() == psutil.STATUS_ZOMBIE else None
    except OSError:  # it ended, or this is not Linux
        pass
    return found


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _entries(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """Path and status of what is in a folder; nothing of what disappears while we look."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                yield entry.path, entry.stat(follow_symlinks=False)


def _walk(top: str) -> Iterator[tuple[str, os.stat_result]]:
    folders = [top]
    while folders:
        for path, status in _entries(folders.pop()):
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                folders.append(path)
