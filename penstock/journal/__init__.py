"""Every answered prediction, its outcome, and making it again."""
