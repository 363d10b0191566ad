"""Where `pggan prepare` takes images from: one class for each kind of source, found by `opening.open_source`."""
