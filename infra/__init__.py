"""The top of the house: the command line, the local stack, traffic and deployment."""
