"""The warehouse: one interface, one file per kind."""
