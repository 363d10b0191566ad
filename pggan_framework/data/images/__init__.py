"""Find, measure and decode image files, and convert them to one format."""
