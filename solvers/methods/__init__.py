"""Fixed-step methods, one family a file, and their registry."""
