"""Data: datasets with every image at every depth, sources, preparation, batches."""
