"""A field's elementwise part, traced: expressions with derivatives, and the C++ that computes them."""
