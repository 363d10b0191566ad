"""Launch: from a configuration to a running training."""
