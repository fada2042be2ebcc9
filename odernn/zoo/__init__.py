"""Trained networks that ship with the package: their files, what they say of themselves, and how they are loaded."""
