"""What training and serving share about one model: request, lookups, features, output."""
