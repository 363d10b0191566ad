"""Initialize a model from a trained model: equal layers are copied, others are mapped; one file per mapping."""
