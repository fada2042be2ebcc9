"""How gradients flow: ways to run a problem so that its outcome can be differentiated."""
