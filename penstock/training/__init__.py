"""From a training set to a candidate: fit, score, parity, gate, plots. scikit-learn and pandas live here."""

import os

# Read by OpenMP when scikit-learn loads it: threads that wait then sleep instead of spinning, which makes a fit
# on a busy machine several times faster and costs nothing on an idle one.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
