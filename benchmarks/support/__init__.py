"""What any command may need: errors, atomic files, Markdown, plots, provenance, threads."""
