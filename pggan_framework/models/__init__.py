"""Trained models: loading, export, import, description."""
