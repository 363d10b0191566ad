"""Image files: find, measure, decode, convert to one format."""
