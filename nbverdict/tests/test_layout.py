"""Each module has a test file of its name, in the folder of its room."""

from pathlib import Path

import nbverdict

SOURCE, TESTS = Path(nbverdict.__file__).parent, Path(__file__).parent


def test_each_module_has_a_test_file():
    modules = [path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if path.name != "__init__.py"]
    names = {module: f"test_{module.stem.strip('_')}.py" for module in modules}
    assert [str(module) for module, name in names.items() if not (TESTS / module.parent / name).exists()] == []
