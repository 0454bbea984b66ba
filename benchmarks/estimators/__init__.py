"""The same data through several estimators."""
