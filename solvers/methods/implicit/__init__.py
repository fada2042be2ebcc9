"""Implicit methods: their equations, how these are solved, and the gradient of the solution."""
