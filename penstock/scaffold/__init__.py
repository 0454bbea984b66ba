"""What `penstock init` writes: a new project, made of this one."""
