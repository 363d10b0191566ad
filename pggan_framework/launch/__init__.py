"""From a configuration to a running training."""
