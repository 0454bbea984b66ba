"""The warehouse in Postgres; Redshift builds on it."""
