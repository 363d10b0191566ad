"""Training data: datasets that provide every image at every depth, file sources, preparation and batches."""
