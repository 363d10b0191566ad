"""Where a run's figures, pictures and sounds are told."""
