"""What is handed in is read up to a bound."""

from nbverdict.classroom.course import AssignmentRun, Course
from nbverdict.classroom.gathering import gather
from support.classes import ASSIGNMENT


def test_what_is_handed_in_is_read_up_to_a_bound(course):
    folder = course / "submitted" / "f_right" / "gauss"
    for name in "abc":
        (folder / f"{name}.bin").write_bytes(bytes(400))
    (folder / "large.bin").write_bytes(bytes(2000))
    (folder / "elsewhere.bin").symlink_to(course / "gradebook.db")
    with (course / "nbgrader_config.py").open("a") as config:
        config.write('\nc.ConfinedProvisioner.limits = {"scratch": 2000}\n')
    files = gather(AssignmentRun(Course(course), ASSIGNMENT), "f_right").files
    assert [name for name in sorted(files) if name.endswith(".bin")] == ["a.bin", "b.bin"]
