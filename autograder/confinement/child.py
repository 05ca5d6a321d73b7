"""How a process shuts itself in: the system calls behind names, and `enter`, which makes them in order.

Standard library only, and no import of this package: the file runs by itself inside the sandbox, where the package is
out of sight, and a kernel forked from a warm process calls `enter` without any exec.
"""

import ctypes
import errno
import json
import os
import platform
import signal
import stat
import struct
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import FrameType
from typing import NoReturn

if sys.platform != "win32":
    import resource

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Plan:
    """What a child is to enter; made by the grader, carried as JSON, and either done in full or the child exits."""

    rlimits: dict[str, int]
    shared_memory: int = 0
    readable: Sequence[str] = ()
    listable: Sequence[str] = ()  # names visible, contents not: folders above a hidden one
    writable: Sequence[str] = ()
    devices: Sequence[str] = ()
    supervise: bool = True  # bubblewrap's first process does this job in its own namespace
    unshare: bool = False
    uid: int | None = None
    landlock: bool = False
    seccomp: bool = False
    only_unix_sockets: bool = False
    fake_chmod: bool = False

    def to_json(self) -> str:
        """The plan as one argument of a command line."""
        return json.dumps(asdict(self))


def _call(name: str, *args: object) -> int:
    """Call libc; a negative answer becomes the OSError it stands for. Integers go out as C long."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    answer = int(getattr(_libc, name)(*words))
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return answer


# --- processes -------------------------------------------------------------------------------------------------------


def adopt_orphans() -> None:
    """Make this process the parent of every orphan below it, so that a daemon cannot leave the tree."""
    _call("prctl", 36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def die_with_parent(number: int = 9) -> None:
    """Ask for a signal when the thread that started this process ends. A change of uid forgets it."""
    _call("prctl", 1, int(number), 0, 0, 0)  # PR_SET_PDEATHSIG


def forbid_new_privileges() -> None:
    """No setuid program raises this process again; Landlock and seccomp ask for it."""
    _call("prctl", 38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS


def drop_capabilities() -> None:
    """Give up every capability; together with `forbid_new_privileges` also over an exec by root."""
    _call("capset", struct.pack("Ii", 0x20080522, 0), bytes(24))


def become(uid: int) -> None:
    """Turn into another user for good."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _call("prctl", 4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: a fork that never execs keeps its own /proc/self


def set_limits(limits: dict[str, int]) -> None:
    """Lower the named resource limits; none is raised."""
    assert sys.platform != "win32"
    for name, value in limits.items():
        which = getattr(resource, name, None)
        if which is not None:
            hard = resource.getrlimit(which)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(which, (value, value))


def _children() -> list[int]:
    """Direct children of this single-threaded process."""
    with open(f"/proc/self/task/{os.getpid()}/children") as names:
        return [int(pid) for pid in names.read().split()]


def supervise() -> None:
    """Fork; the child returns, the parent waits for it, kills what it leaves behind and exits as it did."""
    adopt_orphans()
    child = os.fork()
    if child == 0:
        die_with_parent()
        return

    def leave(code: int) -> NoReturn:
        while pids := _children():
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            os.wait()
        os._exit(code)

    def stop(number: int, _frame: FrameType | None) -> None:
        leave(128 + number)

    signal.signal(signal.SIGTERM, stop)
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            leave(code if code >= 0 else 128 - code)


# --- namespaces ------------------------------------------------------------------------------------------------------

_NEW_NS, _NEW_IPC, _NEW_USER, _NEW_PID, _NEW_NET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """mount(2)."""
    _call("mount", source.encode(), target.encode(), kind.encode() if kind else None, flags, options.encode())


_OPEN = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "etc", "dev", "proc", "sys")  # Landlock narrows these


def hide_rest(kept: Sequence[str]) -> None:
    """Put an empty folder over each one under the root but the system's, and in it only what is kept.

    Landlock shuts files, not names and not sockets: those of other programs are hidden by this.
    """
    handles = {path: os.open(path, os.O_PATH) for path in kept if os.path.exists(path)}
    tops = [entry.name for entry in os.scandir("/") if entry.is_dir(follow_symlinks=False) and entry.name not in _OPEN]
    for top in tops:
        mount("none", f"/{top}", "tmpfs", 0x6, "mode=0755")  # nosuid, nodev
    os.umask(0o022)  # the folders above what is kept are to be passed by another user
    for path, handle in handles.items():
        if path.split("/")[1] in tops:
            folder = path if stat.S_ISDIR(os.fstat(handle).st_mode) else os.path.dirname(path)
            os.makedirs(folder, exist_ok=True)
            if folder != path:
                os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC))
            mount(f"/proc/self/fd/{handle}", path, None, 0x5000)  # MS_BIND | MS_REC
        os.close(handle)


def unshare_namespaces(shared_memory: int, kept: Sequence[str]) -> None:
    """Own network, IPC, processes, terminals and shared memory, and of the files only those that are kept.

    Root uses its privilege for that, anyone else a user namespace.

    The process that returns is the second of its process namespace: the first reaps, and its end ends all.
    """
    uid, gid = os.getuid(), os.getgid()
    flags = _NEW_IPC | _NEW_PID | _NEW_NET
    _call("unshare", flags if uid == 0 else flags | _NEW_USER)
    if uid != 0:
        for name, line in ("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1"):
            with open(f"/proc/self/{name}", "w") as table:
                table.write(line)
    supervise()
    _call("unshare", _NEW_NS)  # not before: the supervisor outside still reads the outer /proc
    mount("none", "/", None, 0x44000)  # MS_REC | MS_PRIVATE: nothing below reaches the outer mounts
    mount("proc", "/proc", "proc", 0xE)  # nosuid, nodev, noexec
    mount("pts", "/dev/pts", "devpts", 0xA, "newinstance,mode=0620,ptmxmode=0666")
    mount("shm", "/dev/shm", "tmpfs", 0xE, f"size={shared_memory},mode=1777")
    hide_rest(kept)
    supervise()


# --- Landlock --------------------------------------------------------------------------------------------------------

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL = 1, 2, 4, 8, 1 << 14, 1 << 15
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_SHARE = _READ_FILE | _WRITE_FILE | _TRUNCATE | 1 << 5 | 1 << 8  # remove and make files, no folders


def landlock_abi() -> int:
    """Version of Landlock in this kernel; 0 where there is none."""
    try:
        return _call("syscall", 444, None, 0, 1)
    except OSError:
        return 0


def restrict_files(rules: Sequence[tuple[str, int]], tcp: bool) -> None:
    """From now on nothing but these paths; where the kernel knows how, no signal, no abstract socket, no TCP out."""
    abi = landlock_abi()
    everything = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)) - 1
    ruleset = struct.pack("QQQ", everything, 0 if tcp else 3, 3)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    handle = _call("syscall", 444, ruleset, len(ruleset), 0)
    for path, rights in rules:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError):
            continue
        rights &= everything if stat.S_ISDIR(os.fstat(place).st_mode) else everything & _ON_FILES
        _call("syscall", 445, handle, 1, struct.pack("=Qi", rights, place), 0)
        os.close(place)
    _call("syscall", 446, handle, 0)
    os.close(handle)


# --- seccomp ---------------------------------------------------------------------------------------------------------

# (x86_64, aarch64) numbers; None where the machine has no such call.
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
# By first argument: the numbers, the one value that passes, the answer to any other.
_UNIX_SOCKETS = ((41, 198), 1, errno.EOPNOTSUPP)  # socket: AF_UNIX alone; libzmq aborts on EPERM
_OWN_LIMITS = ((302, 261), 0, errno.EPERM)  # prlimit64: oneself alone; it would reach the grader's limits
_REFUSED = (
    (425, 425),  # io_uring_setup: opens sockets that no filter sees
    *((29, 194), (64, 190), (68, 186), (240, 180)),  # shmget, semget, msgget, mq_open: outlive the process
    *((248, 217), (249, 218), (250, 219)),  # add_key, request_key, keyctl: the same
    *((298, 241), (321, 280), (323, 282)),  # perf_event_open, bpf, userfaultfd: doors into the kernel
)
# Landlock leaves these alone, so one uid could chmod the gradebook away. An error would fail an honest shutil.copy.
_FAKED = (
    *((90, None), (91, 52), (268, 53), (452, 452)),  # chmod, fchmod, fchmodat, fchmodat2
    *((92, None), (93, 55), (94, None), (260, 54)),  # chown, fchown, lchown, fchownat
    *((132, None), (235, None), (261, None), (280, 88)),  # utime, utimes, futimesat, utimensat
    *((188, 5), (189, 6), (190, 7), (197, 14), (198, 15), (199, 16)),  # setxattr and removexattr, three each
    *((463, 463), (466, 466), (469, 469)),  # setxattrat, removexattrat, file_setattr
)


def seccomp_known() -> bool:
    """Whether the kernel filters system calls and this file knows their numbers on this machine."""
    return platform.machine() in _MACHINES and os.path.exists("/proc/sys/kernel/seccomp/actions_avail")


def filter_calls(only_unix_sockets: bool, fake_chmod: bool) -> None:
    """No limits of others, no object that outlives the kernel; with `fake_chmod`, changes of metadata do nothing."""
    arch, column = _MACHINES[platform.machine()]
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    allow, kill, error = 0x7FFF0000, 0x80000000, 0x50000
    code = [(load, 0, 0, 4), (equal, 1, 0, arch), (answer, 0, 0, kill), (load, 0, 0, 0)]
    if column == 0:  # the x32 numbers would pass by the list
        code += [(at_least, 0, 1, 0x40000000), (answer, 0, 0, error | errno.ENOSYS)]
    for numbers, wanted, refusal in [_OWN_LIMITS, _UNIX_SOCKETS] if only_unix_sockets else [_OWN_LIMITS]:
        code += [(equal, 0, 4, numbers[column]), (load, 0, 0, 16), (equal, 0, 1, wanted)]
        code += [(answer, 0, 0, allow), (answer, 0, 0, error | refusal)]
    silent = [(pair[column], 0) for pair in _FAKED] if fake_chmod else []
    for number, refusal in [(pair[column], errno.ENOSYS) for pair in _REFUSED] + silent:
        if number is not None:
            code += [(equal, 0, 1, number), (answer, 0, 0, error | refusal)]
    program = b"".join(struct.pack("HBBI", *line) for line in [*code, (answer, 0, 0, allow)])
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    _call("prctl", 22, 2, header, 0, 0)  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


# --- all of it -------------------------------------------------------------------------------------------------------


def enter(plan: Plan) -> None:
    """Do all that the plan says, or raise OSError. Call it in a child with one thread; it forks, and returns once."""
    if sys.platform == "linux":
        if plan.supervise:
            die_with_parent(signal.SIGTERM)
            supervise()
        if plan.unshare:
            unshare_namespaces(plan.shared_memory, [*plan.readable, *plan.writable])
    if os.getsid(0) != os.getpid():
        os.setsid()
    set_limits(plan.rlimits)
    if sys.platform != "linux":
        return
    if plan.uid is not None:
        become(plan.uid)
        die_with_parent()
    drop_capabilities()
    forbid_new_privileges()
    if plan.landlock:
        use_device = _READ_FILE | _READ_DIR | _WRITE_FILE | _IOCTL
        restrict_files(
            [(path, _READ) for path in plan.readable]
            + [(path, _READ_DIR) for path in plan.listable]
            + [(path, use_device) for path in plan.devices]
            + [(path, (1 << 16) - 1) for path in plan.writable]
            + [("/dev/shm", _SHARE)],
            tcp=not plan.only_unix_sockets,
        )
    if plan.seccomp:
        filter_calls(plan.only_unix_sockets, plan.fake_chmod)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a grader in the background may ignore it
    enter(Plan(**json.loads(sys.argv[1])))
    os.chdir(sys.argv[2])  # not before: it may be open to the new user alone
    os.execvp(sys.argv[3], sys.argv[3:])
