"""Which release of which model a replica serves, and the watch over it."""
