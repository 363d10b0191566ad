"""The datasets that ship with the framework."""
