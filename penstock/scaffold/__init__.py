"""What `penstock init` and `penstock new` write: a project, and a model of it."""
