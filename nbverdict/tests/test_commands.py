"""Each command says what it takes, and the function that it names exists."""

import argparse
import importlib

import pytest

from nbverdict.__main__ import main
from nbverdict.commands import COMMANDS


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_command_has_a_parser_and_a_function(command):
    command.add_arguments(argparse.ArgumentParser())
    assert callable(getattr(importlib.import_module(command.module), command.function))


def test_an_unknown_command_is_told_with_those_that_exist(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["grad"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "invalid choice: 'grad'" in said
    assert "judge" in said
