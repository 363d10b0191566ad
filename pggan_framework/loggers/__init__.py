"""Loggers: where the metrics, images and sounds of a run go."""
