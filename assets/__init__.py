"""The Dagster graph."""
