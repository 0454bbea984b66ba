"""Physical and layered tables of a book, and the views over them."""
