"""Initialise a model from a trained one: equal layers are kept, others are mapped; one file per mapping."""
