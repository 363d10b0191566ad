"""Launch: start a training run from a configuration."""
