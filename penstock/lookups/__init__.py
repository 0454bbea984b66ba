"""The declared joins of requests with replicated tables."""
