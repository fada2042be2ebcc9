"""Tasks, baselines, training, speed and reports: what `python -m benchmarks` runs."""
