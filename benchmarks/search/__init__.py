"""Searches for settings: a space of them, trials that are runs, and a study that several processes share.

In the order of a search: `space` (what is tried), `study` (which trial is whose), `trial` (one run without its test),
`choice` (the file of settings and the table).
"""
