"""Recordings: which files, and which stretches of them."""
