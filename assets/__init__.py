"""What this project declares, and the Dagster graph of it."""
