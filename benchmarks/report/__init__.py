"""Results of runs, and what is made of them: tables, curves, Markdown."""
