"""How a project and its service grow with the number of models."""
