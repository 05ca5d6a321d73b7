"""Imports made shorter leave everything as it was."""

import gc
import subprocess
import sys

from nbverdict.imports import import_all, uncollected


def test_collection_is_as_before_and_a_missing_module_is_skipped():
    before = gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled() == before
    import_all(["no_such_module", "colorsys"])
    assert "colorsys" in sys.modules
    assert "no_such_module" not in sys.modules


def test_the_grammar_of_addresses_is_left_out_and_can_be_imported_afterwards():
    code = """
import sys
from nbverdict.imports import without_address_grammar
with without_address_grammar():
    import nbformat
print([name for name in sys.modules if name.startswith(("lark", "rfc3987_syntax"))])
import rfc3987_syntax
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.stdout == "[]\n", said.stderr
