"""What measurements of a service share: its home, its clients, its load."""
