"""Real kernels through the provisioner: bounded attacks that must fail, honest work that must not."""

import multiprocessing
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from nbclient import NotebookClient

from nbverdict.confinement import scratch
from nbverdict.confinement.layers import MECHANISMS, Confinement, ConfinementError
from support.kernels import MODES, Kernel, named

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
import os, sys, support.kernels as t
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


# --- without a kernel ------------------------------------------------------------------------------------------------
