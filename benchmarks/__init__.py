"""Measurements: `python -m benchmarks.NAME`, in the folder of the repository."""
