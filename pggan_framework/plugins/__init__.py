"""The built-in trainer plugins."""
