"""What a trained model is: loaded, exported, imported, described."""
