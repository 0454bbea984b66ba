"""The files in a benchmark's home by which its parts find each other. Imports nothing: replicas import it too."""

REQUESTS, ARRAYS = "requests.txt", "arrays.txt"
"""Bodies for our own services; @ stands for the instant that wrk fills in."""
UNJOURNALED = "journal.off"
"""The file under which the benchmark's own deployment does not journal."""
