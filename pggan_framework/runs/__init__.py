"""Runs on disk: folders and checkpoints."""
