"""How fast and how shared model files are."""
