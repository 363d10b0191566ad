"""Reports: one or several runs as a single HTML page."""
