"""Kernels forked from a warm process: as fresh, and as confined, as those that start by themselves."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from nbverdict.confinement import provisioner
from nbverdict.confinement.guard import _end
from nbverdict.confinement.layers import obstacles
from nbverdict.remote.conversation import KernelLostError, refuse_lost
from support.kernels import MODES, Kernel, expect_nothing_runs, named

PRELOAD = ["torch", "numpy", "matplotlib.pyplot", "sklearn.manifold"]


@pytest.fixture(params=["unshare", "landlock"])
def start(request, tmp_path):
    """Return a function that starts warm kernels."""
    if lacking := [f"{name}: {obstacles()[name]}" for name in {request.param, "landlock"} if obstacles()[name]]:
        pytest.skip(", ".join(lacking))
    started = []
    mechanisms = MODES[request.param] if request.param == "unshare" else ("landlock", "seccomp", "uid")

    def start(**traits):
        traits = {"preload": PRELOAD, **traits}
        started.append(Kernel(tmp_path, mechanisms, **traits))
        assert started[-1].provisioner.forks or request.param == "landlock"
        return started[-1]

    # Without namespaces a fork is no worse off than a process of its own only where bubblewrap is missing, too.
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "landlock":
            patch.setattr(provisioner.ConfinedProvisioner, "forks", True)
        yield start
        for kernel in started:
            kernel.close()


def test_forks_are_fresh(start):
    kernels = [start(), start()]
    code = """
        import os, random, signal, tempfile, numpy, torch
        print(random.random(), numpy.random.rand(), torch.rand(1).item(), os.getpid(), tempfile.gettempdir(),
              torch.initial_seed(), os.environ["HOME"], os.getcwd(), sep="|")
        print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, signal.getsignal(signal.SIGCHLD).name)
    """
    said = [kernel.run(code) for kernel in kernels]
    assert [status for status, _ in said] == ["ok", "ok"], said
    one, two = (text.splitlines()[0].split("|") for _, text in said)
    same = [a for i, (a, b) in enumerate(zip(one, two, strict=True)) if a == b and i != 3]  # pids are of a namespace
    assert same == []
    assert all(text.splitlines()[1] == "True SIG_DFL" for _, text in said)


def test_honest_work_in_a_fork(start):
    status, text = start().run("""
        import subprocess, threading
        import matplotlib.pyplot as plt, sklearn.manifold, torch
        from torch.utils.data import DataLoader, TensorDataset
        x = torch.nn.Conv2d(1, 4, 3)(torch.rand(8, 1, 32, 32)).square().mean(); x.backward()
        torch.linalg.svd(torch.rand(50, 50)); (torch.rand(300, 300) @ torch.rand(300, 300)).sum()
        sklearn.manifold.TSNE(perplexity=3, max_iter=250).fit_transform(torch.rand(12, 4).numpy())
        for batch, in DataLoader(TensorDataset(torch.arange(64.)), batch_size=8, num_workers=2): pass
        said = []; thread = threading.Thread(target=lambda: said.append("thread")); thread.start(); thread.join()
        answer = subprocess.run(["python", "-c", "print(6 * 7)"], capture_output=True, text=True).stdout
        print(batch.shape, said, answer)
        plt.plot([1, 2])
    """)
    assert status == "ok", text
    assert "torch.Size([8]) ['thread'] 42" in text, text
    assert "image/png" in text, text


def test_a_missing_import_stays_missing(start):
    status, text = start().run("torch.ones(1)")
    assert status == "error"
    assert "name 'torch' is not defined" in text


def test_an_interrupt_and_a_restart_of_a_fork(start):
    kernel = start()
    status, text = kernel.run("import time\ntime.sleep(30)", interrupt_after=1)
    assert status == "error"
    assert "KeyboardInterrupt" in text
    kernel.run("a = 1; open('left', 'w').close()")
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=60)
    assert kernel.run("import os; print('a' in dir(), os.listdir())") == ("ok", "False []\n")


def test_the_exit_of_a_fork_is_seen_and_takes_its_daemons_along(start):
    kernel = start()
    status, _ = kernel.run("""
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0: os.execvpe("sleep", ["warm-daemon", "300"], {})
            os._exit(0)
        time.sleep(0.5)
        os._exit(3)
    """)
    assert status == "died"
    time.sleep(0.5)
    assert not named("warm-daemon")


def test_nothing_of_the_graders_is_in_a_fork(start, monkeypatch):
    monkeypatch.setenv("GRADER_TOKEN", "hunter2")
    status, text = start().run("""
        import gc, os, sys
        print(dict(os.environ), [o for o in os.listdir("/proc/self/fd")])
        print(("FOU" + "ND") * any("hunter" + "2" in o for o in gc.get_objects() if isinstance(o, str)))
        print([name for name in sys.modules if name.startswith(("autograder.multiview_vae",))])
        for place in ("/proc/1/environ", "/proc/self/environ", f"/proc/{os.getppid()}/environ"):
            try: print(("FOU" + "ND") * ("hunter" + "2" in open(place).read()))
            except OSError: pass
    """)
    assert status == "ok", text
    assert "hunter2" not in text
    assert "FOUND" not in text
    assert "[]" in text


def test_the_limits_hold_in_a_fork(start):
    kernel = start(limits={"wall": 6})
    status, text = kernel.run("import time; time.sleep(60)", 20)
    assert status == "died", text
    assert kernel.provisioner.reason == "it ran for more than 6 seconds"


SCRIPT = """
import os, sys
from nbverdict.confinement.warm import Warm
from nbverdict.confinement.child import Plan
warm = Warm(["json"], {"PATH": os.defpath})
warm.start()
print(warm._process.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_the_warm_process_runs_nothing_and_ends_with_the_grader():
    expect_nothing_runs(PRELOAD)
    command = [sys.executable, "-c", SCRIPT]
    pid = int(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    for _ in range(50):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.2)
    pytest.fail("the warm process outlived its grader")


def test_of_a_huge_log_only_the_end_is_read(tmp_path):
    with (tmp_path / "kernel.log").open("wb") as file:
        file.truncate(1 << 34)  # sparse: it takes no room on the disk
        file.seek(0, os.SEEK_END)
        file.write("é, its last words\n".encode())
    assert _end(tmp_path / "kernel.log", 1000).endswith("é, its last words")


def test_a_kernel_that_our_own_failure_ended_is_no_fault_of_its_notebook(start):
    """The process that kernels are forked from is killed: an internal error, and another such process takes over."""
    first = start()
    assert first.provisioner.failure is None
    provisioner._warm_for(first.provisioner.preloading)._process.kill()
    wait_for_end(first)
    assert first.provisioner.failure == "the process that kernels are forked from has ended"
    with pytest.raises(KernelLostError, match="forked from has ended"):
        refuse_lost(first.manager)
    # One that its own notebook ends is no such case.
    second = start()
    assert second.run("import os; os._exit(1)")[0] == "died"
    wait_for_end(second)
    assert second.provisioner.failure is None
    refuse_lost(second.manager)


def wait_for_end(kernel):
    until = time.monotonic() + 20
    while kernel.manager.is_alive():
        assert time.monotonic() < until
        time.sleep(0.05)
