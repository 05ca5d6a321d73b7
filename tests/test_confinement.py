"""Real kernels through the provisioner: bounded attacks that must fail, honest work that must not."""

import ctypes
import gc
import json
import multiprocessing
import os
import queue
import socket
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import nbformat
import psutil
import pytest
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from nbclient import NotebookClient
from traitlets.config import Config

from nbverdict.confinement import scratch
from nbverdict.confinement.layers import MECHANISMS, Confinement, ConfinementError, Limits, obstacles

MODES = {
    "bubblewrap": ("bubblewrap", "landlock", "seccomp", "uid"),
    "unshare": ("unshare", "landlock", "seccomp", "uid"),
    "landlock": ("landlock", "seccomp", "uid"),
}


class Kernel:
    """A confined kernel that answers code with (status, text)."""

    def __init__(self, folder: Path, mechanisms: tuple[str, ...], **traits: Any) -> None:
        config = Config(ConfinedProvisioner={"mechanisms": list(mechanisms), **traits})
        self.manager = KernelManager(kernel_name="python3", config=config)
        spec = self.manager.kernel_spec
        assert spec is not None
        spec.metadata["kernel_provisioner"] = {"provisioner_name": "confined-provisioner"}
        self.manager.start_kernel(cwd=str(folder))
        self.provisioner = cast("Any", self.manager.provisioner)
        self.private = Path(self.provisioner._private)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code: str, timeout: float = 40, interrupt_after: float = 1e9) -> tuple[str, str]:
        said: list[str] = []

        def hook(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] not in ("status", "execute_input"):
                said.append(content.get("text") or json.dumps(content.get("data", content.get("traceback"))))

        code = textwrap.dedent(code)
        request = self.client.execute(code)
        begin = time.monotonic()
        while (now := time.monotonic() - begin) < timeout:
            if now > interrupt_after:
                self.manager.interrupt_kernel()
                interrupt_after = 1e9
            try:
                message = self.client.get_iopub_msg(timeout=0.2)
            except queue.Empty:
                if not self.manager.is_alive():
                    return "died", "".join(said)
                continue
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                while (reply := self.client.get_shell_msg(timeout=5))["parent_header"].get("msg_id") != request:
                    pass  # an answer to wait_for_ready
                return reply["content"]["status"], "".join(said)
            hook(message)
        return "timeout", "".join(said)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(params=list(MODES))
def mode(request):
    name: str = request.param
    if obstacles()[name]:
        pytest.skip(f"{name}: {obstacles()[name]}")
    return name


@pytest.fixture
def submission(tmp_path):
    folder = tmp_path / "class" / "submission"
    folder.mkdir(parents=True)
    (folder / "own.txt").write_text("mine")
    return folder


@pytest.fixture
def kernel(mode, submission):
    started = Kernel(submission, MODES[mode])
    yield started
    started.close()
    assert not started.private.exists()


@pytest.fixture(params=["bubblewrap", "landlock"])
def watched(request, submission):
    """A kernel for what the watchdog ends, which does so in the same way whatever made the namespaces."""
    mechanisms = [name for name in MODES[request.param] if not obstacles()[name]]
    started = Kernel(submission, tuple(mechanisms))
    yield started
    started.close()
    assert not started.private.exists()


# --- learning and harming --------------------------------------------------------------------------------------------


def test_reads_and_writes_its_own_copy_and_nothing_else(kernel, submission):
    solution = submission.parent / "solution.txt"
    solution.write_text("SECRET")
    places = [str(solution), str(Path.home() / ".bashrc"), "/etc/shadow", "/etc/passwd", str(submission / "own.txt")]
    status, text = kernel.run(f"""
        import os, pathlib
        print(open("own.txt").read(), "own")
        open("own.txt", "w").write("changed")
        for place in {places}:
            for name, action in dict(read=lambda: open(place).read(), write=lambda: open(place, "a"),
                                     truncate=lambda: os.truncate(place, 0), remove=lambda: os.remove(place),
                                     link=lambda: os.link(place, "linked"), rename=lambda: os.rename(place, "x"),
                                     chmod=lambda: os.chmod(place, 0)).items():
                try: print("DONE" if action() or name not in ("chmod",) else "", name, place)
                except OSError: pass
        for folder in {[str(submission.parent), "/", "/tmp", "/root", "/home", "/etc", "/var", "/dev/shm/.."]}:
            try: (pathlib.Path(folder) / "planted").write_text("x"); print("DONE plant", folder)
            except OSError: pass
    """)
    assert status == "ok" and "mine own" in text and "DONE" not in text and "SECRET" not in text, text
    assert (submission / "own.txt").read_text() == "mine"
    assert solution.read_text() == "SECRET"
    assert solution.stat().st_mode & 0o777 != 0
    assert (kernel.private / "work" / "own.txt").read_text() == "changed"


def test_hidden_folder_inside_a_readable_one(mode, submission, tmp_path):
    package = tmp_path / "package"
    for name in ("checks", "open"):
        (package / name).mkdir(parents=True)
        (package / name / "file.txt").write_text(name)
    started = Kernel(submission, MODES[mode], readable=[str(package)], hidden=[str(package / "checks")])
    try:
        status, text = started.run(f"print(open('{package}/open/file.txt').read())")
        assert (status, text) == ("ok", "open\n")
        assert started.run(f"open('{package}/checks/file.txt').read()")[0] == "error"
    finally:
        started.close()


def test_network(kernel):
    tcp, udp = socket.create_server(("127.0.0.1", 0)), socket.socket(type=socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    udp.settimeout(0.5)
    status, text = kernel.run(f"""
        import socket
        for kind, port in (socket.SOCK_STREAM, {tcp.getsockname()[1]}), (socket.SOCK_DGRAM, {udp.getsockname()[1]}):
            try:
                s = socket.socket(type=kind); s.settimeout(1); s.connect(("127.0.0.1", port)); s.send(b"hello")
                print("SENT" if kind == socket.SOCK_STREAM else "sent")
            except OSError as error: print(error)
    """)
    assert status == "ok" and "SENT" not in text, text
    with pytest.raises(TimeoutError):
        udp.recv(10)
    tcp.close()
    udp.close()


def test_sockets_of_others(kernel, mode, submission):
    with socket.socket(socket.AF_UNIX) as by_path, socket.socket(socket.AF_UNIX) as abstract:
        by_path.bind(path := str(kernel.private.with_suffix(".sock")))
        abstract.bind(name := f"\0confined-test-{os.getpid()}")
        by_path.listen()
        abstract.listen()
        status, text = kernel.run(f"""
            import socket
            for address in {[path, name]!r}:
                try: socket.socket(socket.AF_UNIX).connect(address); print("CONNECTED", repr(address))
                except OSError as error: print(error)
        """)
        os.unlink(path)
    assert status == "ok" and "\\x00" not in text, text
    if mode != "landlock" or not Confinement(mechanisms=MODES[mode]).chosen()["uid"]:
        assert "CONNECTED" not in text, text  # Landlock alone does not see sockets by path


def test_the_grader_is_out_of_reach(kernel):
    limits = psutil.Process().rlimit(psutil.RLIMIT_CORE)
    status, text = kernel.run(f"""
        import ctypes, os, resource, signal
        libc = ctypes.CDLL(None, use_errno=True)
        for pid in {{os.getppid(), {os.getpid()}}} - {{1}}:
            for name, action in dict(
                kill=lambda: os.kill(pid, signal.SIGKILL), memory=lambda: open(f"/proc/{{pid}}/mem", "rb").read(1),
                environ=lambda: open(f"/proc/{{pid}}/environ").read(), files=lambda: os.readlink(f"/proc/{{pid}}/fd/0"),
                limits=lambda: resource.prlimit(pid, resource.RLIMIT_CORE, (1, 1)),
                pidfd=lambda: signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL),
                trace=lambda: libc.ptrace(16, pid, 0, 0) == 0 or int("x"),
            ).items():
                try: action(); print("DONE", name, pid)
                except (OSError, ValueError): pass
    """)
    assert (status, text) == ("ok", "")
    assert psutil.Process().rlimit(psutil.RLIMIT_CORE) == limits


def test_privileges(kernel):
    status, text = kernel.run("""
        import ctypes, os, subprocess
        print([line.split() for line in open("/proc/self/status") if line[:6] in ("CapEff", "NoNewP", "Seccom")])
        print(subprocess.run(["grep", "CapEff", "/proc/self/status"], capture_output=True, text=True).stdout)
        libc = ctypes.CDLL(None, use_errno=True)
        print("uring", libc.syscall(425, 1, 0), "shm", libc.shmget(0, 4096, 0o1600), "key", libc.syscall(248, 0, 0))
        print("mount", libc.mount(b"none", b"/usr", b"tmpfs", 0, b""))
    """)
    assert status == "ok"
    assert text.count("0000000000000000") == 2
    assert "['NoNewPrivs:', '1']" in text
    assert "['Seccomp:', '2']" in text
    assert "uring -1 shm -1 key -1" in text
    assert "mount -1" in text


def test_environment(submission, mode, monkeypatch):
    monkeypatch.setenv("GRADER_TOKEN", "hunter2")
    monkeypatch.setenv("LAB_DATA", "embedded")
    started = Kernel(submission, MODES[mode], keep=["LAB_DATA"])
    status, text = started.run("""
        import glob, os
        print(os.environ, os.environ["LAB_DATA"])
        for name in glob.glob("/proc/[0-9]*/environ"):
            try: print(open(name).read())
            except OSError: pass
    """)
    started.close()
    assert status == "ok"
    assert "hunter2" not in text
    assert "embedded" in text


def test_links_and_devices_stay_behind(mode, submission):
    outside = submission.parent / "gradebook.db"
    outside.write_text("grades")
    (submission / "link.txt").symlink_to(outside)
    (submission / "folder").symlink_to(submission.parent)
    os.mkfifo(submission / "pipe")
    (submission / "deep").mkdir()
    (submission / "deep" / "data.txt").write_text("data")
    started = Kernel(submission, MODES[mode])
    status, text = started.run(f"""
        import os
        print(sorted(os.listdir()), os.listdir("deep"))
        for k in range(1, 6):  # lead the grader's relay to a socket of somebody else's
            os.rename(f"../ipc/k-{{k}}", f"../ipc/moved-{{k}}"); os.symlink("{outside}", f"../ipc/k-{{k}}")
        os.symlink("{outside}", "planted"); os.symlink("/", "root")
    """)
    started.close()
    assert status == "ok" and "['deep', 'own.txt'] ['data.txt']" in text, text
    assert outside.read_text() == "grades"
    assert sorted(os.listdir(submission.parent)) == ["gradebook.db", "submission"]


# --- too much --------------------------------------------------------------------------------------------------------


def test_fork_bomb(watched):
    before = len(psutil.pids())
    peak = [0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], len(psutil.pids()) - before)

    thread = threading.Thread(target=watch)
    thread.start()
    status, text = watched.run("""
        import os, time
        made = 0
        for _ in range(400):
            try: pid = os.fork()
            except OSError: break
            if pid == 0: time.sleep(20); os._exit(0)
            made += 1
        time.sleep(2)
        print("MADE", made)
    """)
    done.set()
    thread.join()
    assert status == "died" and "processes" in watched.provisioner.reason and peak[0] < 350, (peak, text)


def test_memory_of_one_process(watched):
    status, text = watched.run("b = bytearray(5 << 30); b[::4096] = bytes(len(b[::4096])); print('G' + 'OT', len(b))")
    assert status in ("error", "died") and "GOT" not in text, text


@pytest.mark.parametrize("way", ["private", "shared"])
def test_memory_of_four_children(watched, way):
    fill = "b = bytearray(1280 << 20); b[::4096] = bytes(len(b[::4096]))"
    if way == "shared":
        fill = "import mmap; b = mmap.mmap(-1, 1280 << 20); [b.write(bytes(1 << 20)) for _ in range(1280)]"
    status, text = watched.run(f"""
        import os, time
        for _ in range(4):
            if os.fork() == 0:
                {fill}
                time.sleep(60); os._exit(0)
        time.sleep(45)
        print("G" + "OT")
    """)
    assert status == "died" and "memory" in watched.provisioner.reason, (status, text)


@pytest.mark.parametrize(
    "attack",
    {
        "one file": "f = open('big', 'wb'); [f.write(bytes(1 << 20)) for _ in range(1300)]",
        "twenty": "[open(f'f{i}', 'wb').write(bytes(64 << 20)) for i in range(20)]",
        "unlinked": "[(k.append(open('x', 'wb')), os.remove('x'), k[-1].write(bytes(64 << 20))) for i in range(20)]",
        "memfd": "k = [os.memfd_create('m') for i in range(20)]; [os.write(f, bytes(64 << 20)) for f in k]",
        "sent": "import socket; a, b = socket.socketpair()\nfor i in range(40): f = open('x', 'wb'); os.remove('x'); "
        "f.write(bytes(32 << 20)); socket.send_fds(a, [b'x'], [f.fileno()]); f.close()",
        "shared memory": "[open(f'/dev/shm/confined-test-{i}', 'wb').write(bytes(64 << 20)) for i in range(20)]",
        "hidden": "import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); "
        "[(k.append(open('x', 'wb')), os.remove('x'), k[-1].write(bytes(64 << 20))) for i in range(9)]",
        "many": "[open(f'f{i}', 'wb').close() for i in range(40_000)]",
        "deep": "[(os.mkdir('d'), os.chdir('d')) for _ in range(3000)]",
        "shut": "os.mkdir('d'); open('d/x', 'w'); os.chmod('d', 0)",
    }.items(),
    ids=lambda item: item[0],
)
def test_disk(watched, attack):
    used = psutil.disk_usage("/tmp").used
    status, text = watched.run(f"import os, time\nk = []\n{attack[1]}\ntime.sleep(2)\nprint('STAY' + 'ED')")
    if attack[0] != "shut":
        assert status in ("error", "died") and "STAYED" not in text, (status, text)
    watched.provisioner._stop()
    scratch.remove(watched.private / "work")
    assert not (watched.private / "work").exists()
    assert psutil.disk_usage("/tmp").used - used < 300 << 20
    assert not list(Path("/dev/shm").glob("confined-test-*"))


def test_semaphores_and_folders_of_a_neighbour_stay_and_files_of_the_kernel_go(submission):
    bare = Kernel(submission, ())  # same user, same /dev/shm
    folder = Path("/dev/shm/confined-test-neighbour")
    try:
        neighbour = multiprocessing.get_context("spawn").Semaphore()
        folder.mkdir()
        code = "open('/dev/shm/confined-test-own', 'w').close()"
        assert bare.run(code)[0] == "ok"
    finally:
        bare.close()
        folder.rmdir()
    assert Path("/dev/shm", f"sem.{neighbour._semlock.name.removeprefix('/')}").exists()
    assert not Path("/dev/shm/confined-test-own").exists()


def test_folders_that_others_cannot_read_are_not_shown_to_another_user(tmp_path, monkeypatch):
    monkeypatch.setattr("nbverdict.confinement.layers.obstacles", lambda: dict.fromkeys(MECHANISMS, ""))
    assert Confinement().chosen()["uid"] == ""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    walls = Confinement(readable=(str(closed),))
    assert f"other users cannot enter {closed}" in walls.chosen()["uid"]
    with pytest.raises(ConfinementError, match="cannot enter"):
        walls.require_all()


def test_daemon_does_not_outlive_the_kernel(watched):
    status, _ = watched.run("""
        import os, subprocess, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execvpe("sleep", ["confined-daemon", "300"], {})
            os._exit(0)
        time.sleep(0.5)
        os._exit(3)
    """)
    assert status == "died"
    time.sleep(0.5)
    assert not named("confined-daemon")


def held():
    """Return the bytes of memory that this process holds, without what it has freed and keeps for later."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss


@pytest.mark.parametrize("how", ["many prints", "one display", "the reply", "file descriptor"])
def test_output(watched, how):
    before = held()
    code = {
        "many prints": "for _ in range(4000): print('x' * 100_000)",
        "one display": "from IPython.display import display; display({'text/plain': 'x' * (200 << 20)}, raw=True)",
        "the reply": "raise ValueError('x' * (200 << 20))",
        "file descriptor": "import os; [os.write(1, b'x' * (1 << 20)) for _ in range(400)]",
    }[how]
    status, _ = watched.run(code)
    assert status == "died" and "sent more than 64 MiB" in watched.provisioner.reason, status
    assert held() - before < 200 << 20


def test_wall_clock(mode, submission):
    started = Kernel(submission, MODES[mode], limits={"wall": 4})
    status, _ = started.run("import time, signal; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)", 15)
    reason = started.provisioner.reason
    started.close()
    assert status == "died"
    assert reason == "it ran for more than 4 seconds"


# --- honest work -----------------------------------------------------------------------------------------------------


def test_honest_work(kernel):
    status, text = kernel.run("""
        %matplotlib inline
        import os, shutil, subprocess, tempfile, warnings, getpass
        import matplotlib.pyplot as plt, torch
        from torch.utils.data import DataLoader, TensorDataset
        x = torch.nn.Conv2d(1, 4, 3)(torch.rand(8, 1, 32, 32)).square().mean(); x.backward()
        torch.linalg.svd(torch.rand(50, 50))
        plt.plot([1, 2]); plt.title("τ"); plt.show()
        for batch, in DataLoader(TensorDataset(torch.arange(64.)), batch_size=8, num_workers=2): pass
        print(batch.shape, subprocess.run(["python", "-c", "print(6 * 7)"], capture_output=True, text=True).stdout)
        with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile(dir=folder) as file:
            shutil.copy2("own.txt", folder); torch.save(x, file); print(os.listdir(folder))
        warnings.warn("careful"); print(getpass.getuser(), os.path.expanduser("~"))
    """)
    assert status == "ok" and "torch.Size([8]) 42" in text and "image/png" in text and "UserWarning: careful" in text, (
        text
    )
    assert "Traceback" not in text and "Fontconfig" not in text and "font cache" not in text, text
    assert "student" in text


def test_shell_escape(kernel, mode):
    if mode == "landlock" and Confinement(mechanisms=MODES[mode]).chosen()["uid"]:
        pytest.skip("no terminal of its own without namespaces or another user")
    assert kernel.run("!echo hello") == ("ok", "hello\r\n")


def test_interrupt_and_restart(kernel):
    begin = time.monotonic()
    status, text = kernel.run("import time\ntime.sleep(30)", interrupt_after=1)
    assert status == "error"
    assert "KeyboardInterrupt" in text
    assert time.monotonic() - begin < 10
    assert kernel.run("a = 1; open('left', 'w').close()")[0] == "ok"
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=60)
    assert kernel.run("import os; print('a' in dir(), os.listdir())") == ("ok", "False ['own.txt']\n")


def test_two_kernels_at_once(mode, submission):
    first, second = Kernel(submission, MODES[mode]), Kernel(submission, MODES[mode])
    assert first.run("print(1)") == second.run("print(1)") == ("ok", "1\n")
    neighbour = f"import os; print(os.listdir('{second.private}/work'))"
    assert first.run(neighbour)[0] == "error"
    first.close()
    second.close()


# --- other ways in and out -------------------------------------------------------------------------------------------


def test_any_notebook_client(submission, monkeypatch):
    monkeypatch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", "confined-provisioner")
    KernelProvisionerFactory.clear_instance()
    cell = {"cell_type": "code", "source": "import os; os.getcwd()", "metadata": {}, "outputs": [], "id": "a"}
    notebook = nbformat.from_dict({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    NotebookClient(notebook, resources={"metadata": {"path": str(submission)}}).execute()
    KernelProvisionerFactory.clear_instance()
    assert "/tmp/confined-" in notebook.cells[0].outputs[0]["data"]["text/plain"]


GRADER = """
import os, sys, tests.test_confinement as t
from pathlib import Path
kernel = t.Kernel(Path(sys.argv[1]), t.MODES[sys.argv[2]])
kernel.run('''
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: os.execvpe("sleep", ["orphaned-daemon", "300"], {})
    os._exit(0)
time.sleep(0.5)
''')
print(kernel.private, len(t.named("orphaned-daemon")), flush=True)
os.kill(os.getpid(), 9)
"""


def named(name: str) -> list[int]:
    return [p.pid for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [""])[0] == name]


def test_a_killed_grader_leaves_nothing(mode, submission):
    command = [sys.executable, "-W", "ignore", "-c", GRADER, str(submission), mode]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.stdout, done.stderr
    private, daemons = done.stdout.split()
    assert daemons == "1"
    time.sleep(1)
    assert not named("orphaned-daemon")
    scratch.remove(scratch.make_private())
    assert not Path(private).exists()


def opens(place: str) -> bool:
    try:
        os.close(os.open(place, os.O_RDONLY))
    except OSError:
        return False
    return True


def test_a_fork_enters_without_exec(mode, tmp_path):
    if mode == "bubblewrap":
        pytest.skip("bubblewrap is an exec; a warm process is started inside it")
    plan = Confinement(mechanisms=MODES[mode]).plan([str(tmp_path)], [])
    script = f"""
import os, pathlib, sys
sys.path[:0] = {sys.path!r}
from nbverdict.confinement import child
from tests.test_confinement import opens
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


# --- without a kernel ------------------------------------------------------------------------------------------------


def test_less_is_said_and_can_be_refused(submission):
    started = Kernel(submission, ())
    layers = {layer.name: layer for layer in started.provisioner.confinement.layers()}
    assert started.run("print(1)") == ("ok", "1\n")
    started.close()
    assert not layers["landlock"].active
    assert layers["landlock"].detail == "switched off"
    assert layers["scratch"].active
    with pytest.raises(ConfinementError, match="landlock"):
        Kernel(submission, (), require=True)


def test_a_folder_that_is_too_wide_is_refused():
    for folder in ("/", str(Path.home()), str(Path.home().parent)):
        with pytest.raises(ValueError, match="not a folder to show"):
            Confinement(readable=(folder,)).plan([], [])


def test_staging_is_bounded(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    with (source / "huge").open("wb") as file:
        file.truncate(1 << 40)
    (source / "small").write_text("x")
    assert scratch.stage(source, tmp_path / "target", Limits()) == ["huge"]
    assert os.listdir(tmp_path / "target") == ["small"]


def test_doctor():
    command = [sys.executable, "-m", "nbverdict", "doctor"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) >= 10
    for name, why in obstacles().items():
        assert any(f"{name}: {why}. Remedy: " in line for line in lines) == bool(why)
