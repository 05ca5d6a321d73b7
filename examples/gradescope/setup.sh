#!/usr/bin/env bash
# Gradescope runs this once, when it builds the container: Python packages, and what confines students' code.
set -eu
apt-get update
apt-get install -y --no-install-recommends python3 python3-venv bubblewrap
python3 -m venv /autograder/venv
/autograder/venv/bin/pip install --no-cache-dir /autograder/source/*.whl
