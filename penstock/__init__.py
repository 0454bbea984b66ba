"""The engine: everything that no project should have to write."""
