"""Where values live: one protocol, three implementations."""
