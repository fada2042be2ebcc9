"""Stacks of layers, in one direction or two, under the names and with the interface of torch's recurrent modules."""
