"""How fast tables are published, beside what others run."""
