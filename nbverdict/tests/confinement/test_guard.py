"""The watchdog ends what takes more than it may."""

import ctypes
import gc
import threading
import time
from pathlib import Path

import psutil
import pytest

from nbverdict.confinement import scratch
from support.kernels import MODES, Kernel, named


def held():
    """Return the bytes of memory that this process holds, without what it has freed and keeps for later."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss


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
