"""One module per command; what it declares is what the command line offers."""
