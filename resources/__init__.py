"""The edges: warehouse, snapshots, books, releases, embedded Postgres, settings."""
