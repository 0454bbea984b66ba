"""Which snapshots, tables and models are kept, and for how long."""
