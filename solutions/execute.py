"""Execute notebooks and store them with their outputs: `python solutions/execute.py NOTEBOOK ... [--to FOLDER]`.

What changes from run to run without meaning (timings, intermediate states of a progress bar, the exact version of
Python) is left out, so that a difference between two stored notebooks is a difference in what they say.
"""

import argparse
import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError


def execute(path: Path, to: Path) -> None:
    """Execute a notebook in its own folder and write it to `to`; if a cell fails, nothing is written."""
    notebook = nbformat.read(path, as_version=4)
    os.environ["LAB_STILL"] = "1"  # nobody watches: no progress bars, and a figure in place of sliders
    client = NotebookClient(
        notebook,
        timeout=None,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            for output in cell.outputs:
                if output.output_type == "stream":
                    # Of a progress bar keep the last state, without the times.
                    lines = [line.split("\r")[-1] for line in output.text.split("\n")]
                    output.text = re.sub(r" \[[\d:?]+<[^\]]*\]", "", "\n".join(lines))
    nbformat.validate(notebook)
    (to / path.name).write_text(nbformat.writes(notebook) + "\n")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--to", type=Path, help="folder for the executed notebooks; default: in place")
    options = parser.parse_args()
    for path in options.notebooks:
        print(f"executing {path}", flush=True)
        try:
            execute(path, options.to or path.parent)
        except CellExecutionError as error:
            print(f"{path} stopped, and nothing was written:\n{error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
