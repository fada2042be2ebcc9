"""The settings of a run: their types, their files in `configs/`, and the command line that overrides them."""
