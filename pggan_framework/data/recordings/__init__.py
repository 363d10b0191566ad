"""Recordings: which files, and which parts of them, a sound dataset uses."""
