"""Loading a snapshot into a book, verifying it, and moving the pointer."""
