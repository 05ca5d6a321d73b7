"""Write what students are given, as one zip file: `python examples/make_bundle.py [--to FILE]`.

It holds the released notebooks, the lab and nbverdict as wheels, and a README that says how to open them in JupyterLab,
VS Code and Colab. No solution is in it.
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = "multiview_vae_lab"
README = """# The Multi-View VAE lab

Start with `multiview_vae/1_paired_dataset.ipynb`, and keep the two folders side by side. You need Python 3.11 or newer,
and once a network for the installation: PyTorch takes several gigabytes. Nothing else is downloaded.

## JupyterLab, or VS Code, on your machine

    python -m venv .venv
    .venv/bin/python -m pip install {wheels}          (on Windows: .venv\\Scripts\\python)
    .venv/bin/jupyter lab

In VS Code, open this folder, open a notebook, click *Select Kernel* at its upper right, then *Python Environments*, and
choose `.venv`. With another environment, the first cell of each notebook installs the lab there.

## Google Colab

1. On https://colab.research.google.com click *File*, *Upload notebook*, and choose a notebook.
2. Click the folder at the left edge, then the upload symbol, and upload both files that end in `.whl`.
3. Run the first cell, which installs these files where the lab is missing. It takes a minute or two. If Colab asks you
   to restart the session, do, and go on.
4. Notebooks 2 and 3, and those of `cross_view`, read what you wrote in earlier ones. Make the folders in which they
   look for them: `multiview_vae` and `cross_view`, beside each other, with your notebooks in them.
5. Colab forgets its files when you leave: click *File*, *Download*, *Download .ipynb* each time, and hand in that file.

## The self-check is no proof

Under each stub you run the checks that your instructor runs, in your own notebook, to learn what is wrong. Whoever
changes them, or calls the reference inside this package, fools nobody: the grade comes from another process, with new
inputs.
"""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--to", type=Path, default=ROOT / "results" / f"{FOLDER}.zip")
    to = parser.parse_args().to
    notebooks = sorted((ROOT / "assignments").glob("*/*.ipynb"))
    if not notebooks:
        print("error: there is no release yet; run: make release")
        return 2
    with tempfile.TemporaryDirectory() as name:
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", name]
        subprocess.run([*pip, ROOT / "nbverdict", ROOT], check=True)
        wheels = sorted(Path(name).glob("*.whl"))
        to.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(f"{FOLDER}/README.md", README.format(wheels=" ".join(wheel.name for wheel in wheels)))
            for wheel in wheels:
                file.write(wheel, f"{FOLDER}/{wheel.name}")
            for path in notebooks:
                file.write(path, f"{FOLDER}/{path.relative_to(ROOT / 'assignments')}")
    print(f"{len(notebooks)} notebooks, two wheels and a README: {to}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
