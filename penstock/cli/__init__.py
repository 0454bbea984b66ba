"""The `penstock` command: a thin face over the functions that the assets call."""
