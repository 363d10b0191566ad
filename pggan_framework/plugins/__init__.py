"""The trainer plugins that are built in."""
