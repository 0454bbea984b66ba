"""From a fitted scikit-learn model to the arrays of a model file."""
