"""Whether a book holds exactly what its pointers say."""
