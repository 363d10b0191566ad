"""Training: the loop, the training step, plugins, checkpoints and distributed training."""
