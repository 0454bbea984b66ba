"""From a declaration to a snapshot: one query run inside the warehouse."""
