"""Bringing code and configuration onto the running service, and back."""
