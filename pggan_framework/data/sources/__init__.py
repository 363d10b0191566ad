"""Image sources of `pggan prepare`: one class for each kind, detected by `opening.open_source`."""
