"""The commands, one a file: each has `SUMMARY`, a line for the overview, and `main(argv)`, which gives the exit code."""
