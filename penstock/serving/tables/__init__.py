"""Replicated tables in a replica's memory."""
