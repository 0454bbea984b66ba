"""Books: their schema, pointers, quoting, URLs, and the embedded server."""
