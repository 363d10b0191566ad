"""Generation from trained models: samples, notes and scores, latent interpolations, sampler kits."""
