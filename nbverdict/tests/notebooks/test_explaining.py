"""What the text of a notebook tells of an error."""

from nbformat.v4 import new_code_cell

from nbverdict.notebooks.explaining import given_by, other_name, why

RELEASED = [new_code_cell("import numpy as np\nfrom math import sqrt"), new_code_cell("def mean(x, weights): ...")]


def test_an_import_that_is_gone_or_overwritten_is_told():
    handed = given_by(RELEASED)
    missing = "NameError: name 'np' is not defined"
    assert why(missing, [], handed) == "The line `import numpy as np` of the release is gone: put its cell back."
    assert why(missing, RELEASED, handed) == ""
    said = why("TypeError: 'int' object\nin line 2 of its cell: return sqrt(2)", [new_code_cell("sqrt = 3")], handed)
    assert said == "sqrt is no longer sqrt: cell 1 gave the name to something else, `sqrt = 3`."


def test_the_only_function_that_can_be_meant_is_named():
    handed = given_by(RELEASED)
    own = [new_code_cell("def average(x, w):\n    return 0\ndef other(x): ...")]
    said = "You defined average, which takes as many parameters. Should it be called mean?"
    assert other_name("mean", own, handed) == said
    assert other_name("mean", [*own, new_code_cell("def third(a, b): ...")], handed) == ""
