"""The verbs of the command line, grouped as `millrace --help` shows them."""
