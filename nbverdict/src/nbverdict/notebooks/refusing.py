"""What makes a configuration unusable, found before anything is graded with it."""

import difflib
import functools
import importlib.util
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

from traitlets import TraitError
from traitlets.config import Config

from nbverdict.checks.assignments import ENTRY_POINTS
from nbverdict.configuration import CONFIG_FILE, ConfigurationError
from nbverdict.confinement.provisioner import ConfinedProvisioner
from nbverdict.notebooks.execute import ExecuteOutside


def refuse_other_checkout(folder: Path) -> None:
    """Raise ConfigurationError if a course has a copy of this package, or of installed checks, that differs from it.

    Depending on how it is started, the grader would be the one, and the kernels' side of it the other.
    """
    packages = {
        __package__.partition(".")[0],
        *(point.value.partition(".")[0] for point in entry_points(group=ENTRY_POINTS)),
    }
    for name in sorted(packages):
        own = folder.resolve() / name
        other = _installed(name)
        if other is None or other == own or not (own / "__init__.py").is_file():
            continue
        one, another = (
            {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.py")} for root in (own, other)
        )
        if one != another:
            raise ConfigurationError(
                f"{own} differs from the installed package, {other}. Install the one that is meant "
                f"(pip install -e {own.parent}), or remove the other."
            )


@functools.cache
def _installed(package: str) -> Path | None:
    """Return the folder of an installed package, which a kernel imports."""
    code = f"from importlib.util import find_spec; print(getattr(find_spec({package!r}), 'origin', None) or '')"
    asked = subprocess.run([sys.executable, "-P", "-c", code], cwd=os.sep, capture_output=True, text=True, check=False)
    return Path(asked.stdout.strip()).parent if asked.stdout.strip() else None


def refuse_unknown(config: Config) -> None:
    """Raise ConfigurationError for an option of this package's that does not exist, and for a module that is not there.

    traitlets takes no notice of a misspelt option: a class would be graded with less protection than was asked for.
    """
    known = {kind.__name__: kind.class_trait_names(config=True) for kind in (ConfinedProvisioner, ExecuteOutside)}
    for section, options in config.items():
        if section not in known:
            if near := difflib.get_close_matches(section, known, 1, 0.8):
                raise ConfigurationError(f"c.{section} is unknown; did you mean c.{near[0]}?")
            continue
        for option in options:
            if option not in known[section]:
                near = difflib.get_close_matches(option, known[section], 1, 0.0)
                raise ConfigurationError(f"c.{section}.{option} is no option; did you mean {near[0]}?")
    try:
        modules = ConfinedProvisioner(config=config).preload
    except TraitError as error:
        raise ConfigurationError(f"a value in {CONFIG_FILE} does not fit: {error}") from error
    for module in modules:  # their packages: looking for more would import them
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            raise ConfigurationError(f"c.ConfinedProvisioner.preload names {module!r}, which is not installed")
