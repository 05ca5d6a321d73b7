"""Attacks that try to harm the grader or others, or to use up the machine."""

from textwrap import dedent

from tests.attacks.common import BROKEN, KILLED, Attack, called, coded, daemon


def writes(about: str, path: str, text: str = "") -> Attack:
    """Return an attack that appends to files below the course; the names may be new."""
    code = f"""
    import glob, os
    path = COURSE + "/" + f{path!r}
    for path in glob.glob(path) or [path]:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "a").write({text!r})
    """
    return coded("harm", about, code)


def once(code: str) -> str:
    """Return code that runs in the first call only."""
    return "if len(calls) == 1:\n" + "\n".join(f"    {line}" for line in dedent(code).strip().splitlines())


HARM: dict[str, Attack] = {
    "sql_other_grades": coded(
        "harm",
        "sets the grades of another student to 0, by SQL",
        """
        import sqlite3
        db = sqlite3.connect(COURSE + "/gradebook.db", timeout=5)
        db.execute("UPDATE grade SET auto_score = 0 WHERE notebook_id IN (SELECT n.id FROM submitted_notebook n"
                   " JOIN submitted_assignment a ON a.id = n.assignment_id WHERE a.student_id = ?)", (BYSTANDER,))
        db.commit()
        """,
    ),
    "delete_gradebook": coded(
        "harm",
        "overwrites the gradebook",
        'open(COURSE + "/gradebook.db", "r+b").write(b"no gradebook " * 99)',
    ),
    "write_other_submission": writes("another student's submission", "submitted/{BYSTANDER}/*/*.ipynb", "spoiled"),
    "write_other_grade": writes("another student's graded notebook", "autograded/{BYSTANDER}/*/*.ipynb", "spoiled"),
    "write_solutions": writes("the solutions", "solutions/*/*.ipynb", "spoiled"),
    "write_checks": writes("the checks", "autograder/multiview_vae/*.py", "\n# spoiled\n"),
    "write_config": writes("nbgrader's configuration", "nbgrader_config.py", "\n# spoiled\n"),
    "write_home": writes("the grader's home", "canary/.bashrc", "echo spoiled\n"),
    "plant_sitecustomize": writes("code for the next Python process, sitecustomize.py", "sitecustomize.py", "pass\n"),
    "plant_conftest": writes("code for the next pytest run, conftest.py", "conftest.py", "pass\n"),
    "plant_pth": writes("code for the next Python process, a .pth file", "canary/site-packages/a.pth", "import this\n"),
    "write_above": coded(
        "harm",
        "writes into every folder above the working folder that is the course's",
        """
        import pathlib
        for folder in pathlib.Path.cwd().parents:
            if str(folder).startswith(COURSE):
                (folder / "spoiled").write_text("spoiled")
        """,
    ),
    "write_linked_file": coded(
        "harm",
        "writes through a link that came with the submission",
        'open("data.txt", "a").write("spoiled")',
        place=lambda folder, course: (folder / "data.txt").symlink_to(course / "canary" / "secret"),
        status=("wrong", "tampered"),
    ),
    "unpickled": coded(
        "harm",
        "the answer returns objects that execute code where they are unpickled",
        """
        import os
        class Bomb:
            def __reduce__(self):
                return os.system, (f"touch {COURSE}/canary/unpickled",)
        class Tensor(torch.Tensor):
            def __reduce_ex__(self, protocol):
                return os.system, (f"touch {COURSE}/canary/unpickled",)
        def product_of_experts(*a):
            return Bomb(), a[0].as_subclass(Tensor)
        """,
        points=0,
        status=("wrong", "error"),
    ),
    "connect_tcp": coded(
        "harm",
        "talks to a service on the grader's machine, by TCP",
        'import socket\nsocket.create_connection(("127.0.0.1", PORT), 2).sendall(b"spoiled")',
    ),
    "send_udp": coded(
        "harm",
        "talks to a service on the grader's machine, by UDP",
        'import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b"spoiled", ("127.0.0.1", PORT))',
    ),
    "connect_unix": coded(
        "harm",
        "talks to services on the grader's machine, by Unix sockets",
        """
        import socket
        for address in (f"\\0canary-{PORT}", COURSE + "/canary/socket"):
            try:
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(address)
                    s.sendall(b"spoiled")
            except OSError as error:
                print(error)
        """,
    ),
    "listen": coded(
        "harm",
        "listens for connections from elsewhere",
        """
        import socket, threading, time
        server = socket.create_server(("127.0.0.1", PORT + 1))
        server.settimeout(6)
        time.sleep(3)
        """,
    ),
    "daemon": coded(
        "harm",
        "leaves a process of its own session that writes later",
        daemon("""
        end = time.time() + 40
        while time.time() < end and os.path.exists(COURSE + "/canary") and not os.path.exists(COURSE + "/canary/late"):
            time.sleep(4)
            open(COURSE + "/canary/late", "w").write("spoiled")
        time.sleep(5)
        """),
        status=BROKEN,
    ),
    "deaf_daemon": coded(
        "harm",
        "leaves four processes that ignore every signal they can and use the processor",
        daemon("""
        for _ in range(2):
            os.fork()
        for number in (1, 2, 3, 13, 14, 15, 24):
            signal.signal(number, signal.SIG_IGN)
        end = time.time() + 30
        while time.time() < end:
            sum(range(10000))
        """),
        status=BROKEN,
    ),
    "fork_bomb": coded(
        "harm",
        "200 processes at once",
        """
        import os, signal, time
        children = []
        try:
            for _ in range(200):
                child = os.fork()
                if child == 0:
                    try:
                        time.sleep(20)
                    finally:
                        os._exit(0)
                children.append(child)
            took("200 processes")
        finally:
            for child in children:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        """,
        status=BROKEN,
    ),
    "fill_disk": coded(
        "harm",
        "1.5 GB of files",
        """
        import os, tempfile
        made = []
        try:
            for folder in (".", tempfile.gettempdir(), "/dev/shm"):
                made.append(os.path.join(folder, STUDENT))
                with open(made[-1], "wb") as file:
                    for _ in range(50):
                        file.write(bytes(10**7))
            took("1.5 GB of disk")
        finally:
            for path in made:
                os.path.exists(path) and os.remove(path)
        """,
        status=BROKEN,
    ),
    "many_files": coded(
        "harm",
        "20 000 files",
        """
        import os, shutil
        os.mkdir("many")
        try:
            for i in range(20000):
                open(f"many/{i}", "w").close()
            took("20 000 files")
        finally:
            shutil.rmtree("many")
        """,
        status=BROKEN,
    ),
    "memory_bomb": called(
        "harm",
        "6 GiB of memory in the first call",
        once("""
        block = torch.empty(6 << 30, dtype=torch.uint8)
        block[::4096] = 1
        took("6 GiB of memory")
        del block
        """),
        status=KILLED,
    ),
    "memory_bomb_in_children": called(
        "harm",
        "1.5 GiB of memory in each of four children",
        once("""
        import os, time
        children = []
        for _ in range(4):
            child = os.fork()
            if child == 0:
                try:
                    block = bytearray(3 << 29)
                    block[::4096] = b"1" * len(block[::4096])
                    time.sleep(4)
                    os._exit(0)
                finally:
                    os._exit(1)
            children.append(child)
        ends = [os.waitpid(child, 0)[1] for child in children]
        took("1.5 GiB in each of four children") if not any(ends) else None
        """),
        status=KILLED,
    ),
    "print_flood": coded(
        "harm",
        "500 MB of output",
        """
        import time
        end = time.time() + 15
        for i in range(500):
            if time.time() > end: break
            print("x" * 999_999)
        """,
        status=BROKEN,
    ),
    "print_flood_in_call": called(
        "harm",
        "100 MB of output in a call, past Python's own streams",
        once("import os\nfor _ in range(100):\n    os.write(1, b'x' * 10**6)\n    os.write(2, b'x' * 10**6)"),
        status=BROKEN,
    ),
    "display_flood": coded(
        "harm",
        "20 000 displays",
        "from IPython.display import display\nfor i in range(20000):\n    display(i)",
        status=BROKEN,
    ),
    "reply_flood": called(
        "harm",
        "500 MB on the line of the calls, which nobody asked for",
        once("""
        from nbverdict.remote import kernel
        for line in [kernel.SESSION.line]:
            for _ in range(500):
                line.send(bytes(10**6))
        """),
        status=BROKEN,
    ),
    "close_line": called(
        "harm",
        "the line of the calls is closed in a call",
        once("from nbverdict.remote import kernel\nfor line in [kernel.SESSION.line]:\n    line.close()"),
        status=BROKEN,
    ),
    "kill_parent": called(
        "harm",
        "kills the process that started it",
        once("import os\nif os.getppid() > 1:\n    os.kill(os.getppid(), 9)"),
        status=KILLED,
    ),
    "swallow_interrupt": called(
        "harm",
        "a loop that swallows every exception, KeyboardInterrupt among them",
        """
        import time
        end = time.time() + 50
        while time.time() < end:
            try:
                time.sleep(1)
            except BaseException:
                pass
        """,
        points=0,
        status=("timeout", "died"),
    ),
    "sleep": called("harm", "sleeps past every limit", "import time\ntime.sleep(55)", points=0, status=("timeout",)),
    "endless_cell": coded(
        "harm",
        "the answer's cell itself runs past every limit",
        "import time\nend = time.time() + 55\nwhile time.time() < end:\n    pass",
        status=("timeout", "wrong", "died"),
    ),
    "exit": called("harm", "os._exit in a call", "import os\nos._exit(0)", points=0, status=("died",)),
    "segfault": called(
        "harm", "a segfault in a call", "import ctypes\nctypes.string_at(0)", points=0, status=("died",)
    ),
    "stop_itself": called(
        "harm",
        "stops itself with SIGSTOP; a child wakes it 40 s later",
        once("""
        import os, signal, time
        parent = os.getpid()
        if os.fork() == 0:
            try:
                time.sleep(40)
            finally:
                os.kill(parent, signal.SIGCONT)
                os._exit(0)
        os.kill(parent, signal.SIGSTOP)
        """),
        status=("timeout", "died", "wrong"),
    ),
    "close_files": called("harm", "closes all file descriptors", "import os\nos.closerange(3, 4096)", status=KILLED),
    "new_session": called(
        "harm",
        "leaves its session and ignores signals, then loops",
        once("""
        import os, signal, time
        for leave in (os.setsid, os.setpgrp):
            try:
                leave()
            except OSError:
                pass
        for number in (1, 2, 14, 15):
            signal.signal(number, signal.SIG_IGN)
        end = time.time() + 45
        while time.time() < end:
            pass
        """),
        status=("timeout", "died", "wrong"),
    ),
    "threads": coded(
        "harm",
        "50 threads that go on",
        """
        import threading, time
        def run(end=time.time() + 40):
            while time.time() < end:
                sum(range(1000))
        for _ in range(50):
            threading.Thread(target=run).start()
        """,
        status=BROKEN,
    ),
    "base_exception": called(
        "harm",
        "raises something that is no Exception",
        "raise type('Out', (BaseException,), {})('out')",
        points=0,
        status=("error", "died"),
    ),
    "lying_exception": called(
        "harm",
        "raises an exception whose text cannot be made",
        "raise type('Out', (Exception,), {'__str__': lambda s: 1 / 0, '__repr__': lambda s: 1 / 0})()",
        points=0,
        status=("error", "died"),
    ),
    "huge_message": called(
        "harm",
        "raises an error with a message of 20 MB",
        "raise ValueError('x' * 20_000_000)",
        points=0,
        status=("error",),
    ),
    "replace_stdout": coded(
        "harm",
        "replaces sys.stdout by something that raises",
        """
        class Out:
            def __getattr__(self, name):
                raise RuntimeError(name)
        sys.stdout = sys.stderr = sys.__stdout__ = Out()
        """,
        status=BROKEN,
    ),
    "atexit": coded(
        "harm",
        "writes and lingers when the kernel ends",
        """
        import atexit, time
        def late():
            open(COURSE + "/canary/late", "w").write("spoiled")
            time.sleep(30)
        atexit.register(late)
        """,
    ),
    "huge_shape": coded(
        "harm",
        "a tensor of 10**12 elements that takes four bytes",
        "def product_of_experts(*a):\n    return (torch.zeros(1).expand(10**12),) * 2",
        points=2,
        status=("wrong", "error"),
    ),
    "huge_integers": coded(
        "harm",
        "losses of 30 000 digits",
        "def vae_loss(*a, **k):\n    return (10**30000,) * 4",
        answer="",
        points=0,
        exercise="vae_loss",
        status=("wrong", "error"),
    ),
    "nested_lists": coded(
        "harm",
        "lists nested 100 000 deep, and one that holds itself",
        """
        def product_of_experts(*a):
            deep, own = [], []
            own.append(own)
            for _ in range(100_000):
                deep = [deep]
            return deep, own
        """,
        points=0,
        status=("wrong", "error", "died"),
    ),
    "huge_list": coded(
        "harm",
        "a tuple of ten million numbers",
        "def product_of_experts(*a):\n    return (1,) * 10_000_000",
        points=0,
        status=("wrong", "error"),
    ),
    "odd_tensors": coded(
        "harm",
        "sparse, quantised, complex and empty tensors, one after the other",
        """
        kinds = [torch.eye(2).to_sparse(), torch.quantize_per_tensor(torch.eye(2), 0.1, 0, torch.qint8),
                 torch.zeros(2, dtype=torch.complex64), torch.empty(2, device="meta"), torch.zeros(0, 10**9)]
        def product_of_experts(*a):
            kinds.append(kinds.pop(0))
            return kinds[0], kinds[0]
        """,
        points=1,
        status=("wrong", "error"),
    ),
    **{
        f"{name}_length": coded(
            "harm",
            f"a dataset whose length is {words}",
            f"""
            class PairedDataset(Dataset):
                def __init__(self, first, second): self.first, self.second = first, second
                def __len__(self): return {length}
                def __getitem__(self, i): return self.first[0][0], self.second[0][0], 0
            """,
            answer="",
            points=0 if words != "10**9" else 1,
            exercise="paired_dataset",
            status=("wrong", "error", "timeout"),
        )
        for name, words, length in (
            ("huge", "10**9", "10**9"),
            ("negative", "negative", "-3"),
            ("text", "a text", "'many'"),
        )
    },
    "endless_length": coded(
        "harm",
        "a dataset whose items never end",
        """
        class PairedDataset(Dataset):
            def __init__(self, *a): pass
            def __len__(self): return 3
            def __getitem__(self, i): return iter(int, 1)
            def __iter__(self): return iter(int, 1)
        """,
        answer="",
        points=0,
        exercise="paired_dataset",
        status=("wrong", "error", "timeout"),
    ),
}
