"""Whole datasets decoded or encoded once, and written to prepared files."""
