"""The part that training and serving share: contract, features, artifact reading, prediction."""
