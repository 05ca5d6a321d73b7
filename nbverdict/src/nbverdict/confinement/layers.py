"""What keeps a student's process in: what this machine offers, and how one kernel is laid out within it."""

import functools
import os
import platform
import random
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from nbverdict.confinement import child
from nbverdict.confinement.child import Plan

MECHANISMS = ("bubblewrap", "unshare", "landlock", "seccomp", "uid")
LINUX = sys.platform == "linux"
_REMEDIES = {
    "bubblewrap": "install it (apt install bubblewrap, dnf install bubblewrap); in a container, allow user namespaces "
    "(podman run --security-opt unmask=ALL, or docker run --privileged)",
    "unshare": "sysctl kernel.unprivileged_userns_clone=1 (Debian), kernel.apparmor_restrict_unprivileged_userns=0 "
    "(Ubuntu); not needed with bubblewrap",
    "landlock": "Linux 5.13 or later, 6.12 for signals, with landlock in the kernel's lsm= parameter",
    "seccomp": "Linux on x86_64 or aarch64 with CONFIG_SECCOMP_FILTER",
    "uid": "start as root, with a Python that other users may read",
}


class ConfinementError(RuntimeError):
    """The machine offers less than what was asked for."""


@dataclass(frozen=True)
class Limits:
    """Bounds of one kernel and all that it starts; bytes, seconds, counts. A process may map 4 GiB beyond `memory`."""

    memory: int = 4 << 30  # resident, shared pages counted once; importing torch takes 0.3 GiB of it
    cpu: int = 900  # of one process
    wall: int = 1800  # of the kernel
    processes: int = 64
    open_files: int = 1024
    file_size: int = 256 << 20
    scratch: int = 512 << 20
    files: int = 10_000
    output: int = 64 << 20  # all that the kernel sends, in whatever message

    def for_process(self, uid: int | None) -> dict[str, int]:
        """The limits that the operating system enforces for each process, as resource limits by name."""
        if not LINUX:  # macOS refuses a bound on addresses
            return {"RLIMIT_CPU": self.cpu, "RLIMIT_NOFILE": self.open_files, "RLIMIT_FSIZE": self.file_size}
        # RLIMIT_NPROC counts the threads of every process of the uid, and numerical libraries start one per core.
        busy = 0 if uid else sum(p.info["num_threads"] or 0 for p in _processes_of(os.getuid()))
        return {
            "RLIMIT_AS": self.memory + (4 << 30),  # libraries and thread stacks are mapped, hardly touched
            "RLIMIT_DATA": self.memory,
            "RLIMIT_CPU": self.cpu,
            "RLIMIT_NPROC": busy + self.processes + 16 * (os.cpu_count() or 1),
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_FSIZE": self.file_size,
            "RLIMIT_CORE": 0,
        }


@dataclass(frozen=True)
class Layer:
    """One layer: whether it is active in this run, and how or why not."""

    name: str
    active: bool
    detail: str
    needed: bool = True

    def __str__(self) -> str:
        return f"{'yes' if self.active else 'no ':3} {self.name:18} {self.detail}"


def _processes_of(uid: int) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["uids", "num_threads"]) if p.info["uids"] and p.info["uids"].real == uid]


# --- what the machine offers -----------------------------------------------------------------------------------------


def _try(command: Sequence[str]) -> str:
    """Run a harmless command; empty if it went well, else the last thing it said."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=20, env={"PATH": os.defpath})
    except subprocess.CalledProcessError as error:
        return str((error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[-1])
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return ""


@functools.cache
def obstacles() -> dict[str, str]:
    """For each mechanism, why this machine does not offer it; empty where it does. Tried once, not read from a file."""
    if not LINUX:
        return dict.fromkeys(MECHANISMS, f"Linux only, this is {platform.system()}")
    root = os.geteuid() == 0
    enter = [sys.executable, "-I", "-S", child.__file__]
    return {
        "bubblewrap": _try([*_bubblewrap(root), "--ro-bind", "/", "/", "true"]),
        "unshare": _try([*enter, Plan({}, shared_memory=1 << 20, unshare=True).to_json(), "/", "true"]),
        "landlock": "" if child.landlock_abi() else "the kernel has no Landlock",
        "seccomp": "" if child.seccomp_known() else f"no filter known for {platform.machine()} and this kernel",
        "uid": _try([*enter, Plan({}, uid=_UIDS[0]).to_json(), "/", "true"]) if root else _NOT_ROOT,
    }


def _others_may_enter(folder: Path, *, parents: bool) -> bool:
    folder = folder.resolve()
    above = folder.parents if parents else ()
    return folder.stat().st_mode & 0o005 == 0o005 and all(p.stat().st_mode & 0o001 for p in above)


# --- one kernel ------------------------------------------------------------------------------------------------------

_NOT_ROOT = "not started as root"
_UIDS = range(61184, 65520)  # what systemd reserves for users that exist for one service only
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
_PROCESSORS = ("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us")
# joblib counts processors by opening what it sees, and without bubblewrap it sees /sys.
_SETTINGS = ("/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", "/etc/alternatives", *_PROCESSORS)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/ptmx")


def _bubblewrap(root: bool) -> list[str]:
    """The start of the command line. Root keeps what it takes to become another user; others need a user namespace."""
    kinds = ("pid", "net", "ipc", "uts", "cgroup-try")
    apart = ["bwrap", "--die-with-parent", *(f"--unshare-{kind}" for kind in kinds)]
    if not root:
        return [*apart, "--unshare-user"]
    kept = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
    return [*apart, "--cap-drop", "ALL", *(word for name in kept for word in ("--cap-add", name))]


@dataclass(frozen=True)
class Confinement:
    """How kernels are kept in: limits, what they may read, what is hidden in it, which mechanisms may be used."""

    limits: Limits = Limits()
    readable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    mechanisms: tuple[str, ...] = MECHANISMS

    def chosen(self) -> dict[str, str]:
        """For each mechanism, why it is not used here; empty where it is."""
        why = {m: obstacles()[m] if m in self.mechanisms else "switched off" for m in MECHANISMS}
        if not why["bubblewrap"]:
            why["unshare"] = "bubblewrap does it"
        if not why["uid"]:
            apart = not (why["bubblewrap"] and why["unshare"])
            packages = Path(sysconfig.get_path("purelib"))
            places = [sys.prefix, sys.base_prefix, *self.readable]
            for folder in (packages, packages / "IPython", *map(Path, places)):
                if folder.is_dir() and not _others_may_enter(folder, parents=not apart):
                    why["uid"] = f"other users cannot enter {folder} (chmod -R go+rX would let them)"
        return why

    def layers(self) -> list[Layer]:
        """Every layer, active or not, with the reason."""
        why, posix, limits = self.chosen(), os.name == "posix", self.limits
        apart = f"bubblewrap: {why['bubblewrap']}; unshare: {why['unshare']}"
        if not why["bubblewrap"]:
            apart = "bubblewrap: own processes, network and files"
        elif not why["unshare"]:
            apart = "unshare: own processes, network and files"
        unix = "" if posix else "needs a POSIX system"
        return [
            Layer("environment", True, "nothing of the grader's but language, time zone and thread counts"),
            Layer("scratch", True, f"a private copy of the submission, at most {limits.scratch >> 20} MiB"),
            Layer("watchdog", True, f"memory, processes, files of the whole tree; at most {limits.wall} s"),
            Layer("session", posix, unix or "own session and process group"),
            Layer("limits", posix, unix or "memory, CPU time, processes, open files, file size"),
            Layer("output", posix, unix or f"at most {limits.output >> 20} MiB cross to the grader"),
            Layer("namespaces", not (why["bubblewrap"] and why["unshare"]), apart),
            Layer("landlock", not why["landlock"], why["landlock"] or f"version {child.landlock_abi()}"),
            Layer("system calls", not why["seccomp"], why["seccomp"] or "seccomp"),
            Layer("another user", not why["uid"], why["uid"] or "one per kernel", needed=why["uid"] != _NOT_ROOT),
        ]

    def summary(self) -> str:
        """One line: the layers that are active, and those that are not with the reason."""
        active = [layer.name for layer in self.layers() if layer.active]
        missing = [f"{layer.name} ({layer.detail})" for layer in self.layers() if not layer.active]
        return f"confinement: {', '.join(active)}; not active: {', '.join(missing) or 'none'}"

    def advice(self) -> list[str]:
        """One line per layer, then one per mechanism that the machine lacks, with the way to get it."""
        lacking = {name: why for name, why in obstacles().items() if why and name in self.mechanisms}
        return [
            *map(str, self.layers()),
            *(f"    {name}: {why}. Remedy: {_REMEDIES[name]}" for name, why in lacking.items()),
        ]

    def require_all(self) -> None:
        """Raise ConfinementError, naming what is missing, unless every needed layer is active."""
        missing = [f"{layer.name} ({layer.detail})" for layer in self.layers() if layer.needed and not layer.active]
        if missing:
            raise ConfinementError(f"confinement was required, and this machine lacks: {'; '.join(missing)}")

    def plan(self, writable: Sequence[str], readable: Sequence[str]) -> Plan:
        """The plan for a child with these folders of its own. Raises ValueError if an allowed folder is too wide."""
        why = self.chosen()
        uid = _free_uid() if not why["uid"] else None
        allowed = [*_SYSTEM, *_SETTINGS, sys.prefix, sys.base_prefix, *self.readable]
        allowed = list(dict.fromkeys(p for name in allowed for p in (os.path.abspath(name), os.path.realpath(name))))
        for name in allowed:
            if Path(name) in (Path("/"), Path.home(), *Path.home().parents):
                raise ValueError(f"{name} is not a folder to show to students")
        shown, listable = _without(allowed, [Path(h).resolve() for h in self.hidden])
        devices = ["/dev"]
        if why["bubblewrap"]:  # no terminals of the grader's, even at the price of IPython's "!"
            devices = [*_DEVICES, "/dev/pts"] if uid or not why["unshare"] else [*_DEVICES]
        return Plan(
            rlimits=self.limits.for_process(uid),
            shared_memory=self.limits.scratch,
            readable=[*shown, *readable, "/proc"],
            listable=listable,
            writable=writable,
            devices=devices,
            supervise=bool(why["bubblewrap"]),
            unshare=not why["unshare"],
            uid=uid,
            landlock=not why["landlock"],
            seccomp=not why["seccomp"],
            # ipykernel prints from forked children through the loopback; in a network of its own it may.
            only_unix_sockets=bool(why["bubblewrap"]),
            fake_chmod=bool(why["bubblewrap"]),
        )

    def command(self, plan: Plan, kernel: Sequence[str], folder: str) -> list[str]:
        """The command line that runs `kernel` in `folder` as planned."""
        inner = [sys.executable, "-I", "-S"]
        if plan.supervise:
            return [*inner, child.__file__, plan.to_json(), folder, *kernel] if os.name == "posix" else list(kernel)
        shown = [p for p in plan.readable if p != "/proc" and os.path.exists(p)]
        links = [p for p in shown if os.path.dirname(p) == "/" and os.path.islink(p)]
        shown = [p for p in shown if p not in links and not any(p.startswith(f"{wider}/") for wider in shown)]
        # bubblewrap makes the folders above a mount for its own user alone.
        above = sorted({str(parent) for p in (*shown, *plan.writable) for parent in Path(p).parents[:-1]}, key=len)
        return [
            *_bubblewrap(os.geteuid() == 0),
            *(word for p in above for word in ("--perms", "0755", "--dir", p)),
            *(word for p in links for word in ("--symlink", os.readlink(p), p)),
            *(word for p in shown for word in ("--ro-bind", p, p)),
            *(word for p in plan.writable for word in ("--bind", p, p)),
            *("--proc", "/proc", "--dev", "/dev", "--ro-bind", child.__file__, "/child.py"),
            *("--perms", "1777", "--size", str(plan.shared_memory), "--tmpfs", "/dev/shm"),
            *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/", "--"),
            *(*inner, "/child.py", plan.to_json(), folder, *kernel),
        ]


def _free_uid() -> int:
    """A user that runs nothing: RLIMIT_NPROC and kill go by user."""
    taken = {p.info["uids"].real for p in psutil.process_iter(["uids"]) if p.info["uids"]}
    return random.SystemRandom().choice([uid for uid in _UIDS if uid not in taken])


def _without(allowed: Iterable[str], hidden: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Allowed paths with the hidden ones cut out, and the folders above a cut: rights go downwards and only add up."""
    shown: list[str] = []
    above: list[str] = []
    for name in allowed:
        path = Path(name).resolve()
        if any(path.is_relative_to(h) for h in hidden) or not path.exists():
            continue
        if any(h.is_relative_to(path) for h in hidden):
            inner = _without([str(entry) for entry in Path(name).iterdir() if not entry.is_symlink()], hidden)
            above += [name, *inner[1]]
            shown += inner[0]
        else:
            shown.append(name)
    return shown, above
