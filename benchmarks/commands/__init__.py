"""The commands, one a file: each has `SUMMARY`, its line in the overview, and `main(argv)`, giving the exit code."""
