"""The path that drives a field: the map of the input, the hold between samples, the grid of times."""
