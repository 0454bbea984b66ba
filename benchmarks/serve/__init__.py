"""How fast predictions are served, beside what others run."""
