"""Files on disk: atomic writes, locks, limits."""
