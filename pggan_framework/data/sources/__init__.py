"""Where `pggan prepare` takes pictures from: one class for each kind of source, found by `opening.open_source`."""
