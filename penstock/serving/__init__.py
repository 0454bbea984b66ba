"""The service: one ASGI application over one book, and Ray Serve below it."""
