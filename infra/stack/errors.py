"""The failure a person can act on; the command line prints it without a stack trace."""


class StackError(Exception):
    """Says in one sentence what is wrong and what to do next."""
