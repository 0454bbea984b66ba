"""Every answered prediction, what it was made from, and making it again."""
