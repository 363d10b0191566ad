"""The loop: schedule, step, plugins, statistics, checkpoints."""
