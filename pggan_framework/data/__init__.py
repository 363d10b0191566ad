"""Datasets that have every picture at every depth."""
