"""Preparation: decode or encode a complete dataset once, and write prepared files."""
