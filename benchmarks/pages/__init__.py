"""A document of tables and pictures: as a page that sorts, Markdown, CSV, JSON, and lines in a terminal."""
