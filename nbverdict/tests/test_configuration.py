"""The configuration of a course is read, or what is wrong with it is said with its line."""

import pytest

from nbverdict.configuration import ConfigurationError, course_configuration, read_configuration


def test_a_course_of_its_own_wins_and_one_without_a_file_has_the_defaults(tmp_path):
    assert read_configuration(tmp_path) is None
    assert course_configuration(tmp_path).Execute.timeout == 60
    (tmp_path / "nbgrader_config.py").write_text(
        "from nbverdict.configuration import configure\nc = get_config()\nconfigure(c)\nc.Execute.timeout = 7\n"
    )
    config = course_configuration(tmp_path)
    assert (config.Execute.timeout, config.CourseDirectory.source_directory) == (7, "solutions")


def test_a_fault_in_the_file_is_told_with_its_line(tmp_path):
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\n\n1 / 0\n")
    with pytest.raises(ConfigurationError, match=r"nbgrader_config.py, line 3: ZeroDivisionError"):
        read_configuration(tmp_path)
