"""The store of immutable, content-addressed extracts."""
