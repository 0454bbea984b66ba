"""Books and stores, copied at one point in time, and brought back into an empty place."""
