"""Prepared files."""
