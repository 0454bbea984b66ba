"""What this project reads from: the example's warehouse."""
