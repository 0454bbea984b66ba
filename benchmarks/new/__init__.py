"""From a table to the first prediction of a new model."""
