"""Training: the loop, the step, plugins, checkpoints, distributed training."""
