"""Loggers: record the metrics, images and sounds of a run."""
