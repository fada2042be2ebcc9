"""Memory of training steps: peaks in processes of their own, and how they grow with the length."""
