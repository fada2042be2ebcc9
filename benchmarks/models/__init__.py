"""Networks, what lightning trains of them, optimizers and schedules: what a run trains."""
