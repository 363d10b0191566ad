"""Files on disk: atomic writes, locks and limits."""
