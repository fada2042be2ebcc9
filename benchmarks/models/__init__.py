"""Networks, their losses and metrics, optimizers and schedules: what a run trains."""
