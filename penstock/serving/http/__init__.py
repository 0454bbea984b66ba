"""One HTTP exchange, and errors as problem+json."""
