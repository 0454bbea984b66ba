"""What training and serving share about each model of this project: its contract and its features."""
