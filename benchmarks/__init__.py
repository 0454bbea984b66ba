"""The measurements behind every figure in the docs; each runs as `python -m benchmarks.NAME`."""
