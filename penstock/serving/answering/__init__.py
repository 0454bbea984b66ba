"""From a decoded request to its answer, in batches."""
