"""From a training set to a candidate: fit, score, parity, gate, plots. scikit-learn and pandas live here."""
