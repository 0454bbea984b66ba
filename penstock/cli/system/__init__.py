"""What `penstock up` starts on this machine: ports, Dagster, the first prediction; and the checks of it."""
