"""Parts killed at random, and what that costs."""
