"""What is loaded to serve: candidate sources, ranker, and the bundle that holds them."""
