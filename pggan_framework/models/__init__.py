"""Trained models: loading, export, import and description."""
