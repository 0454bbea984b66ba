"""What `penstock init` writes: a new project, made of this repository's own top level."""
