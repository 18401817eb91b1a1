"""Where values live: one protocol, three implementations, and a ladder over two of them."""
