"""Trained models at work: single samples, notes and scores, walks between latents, sampler kits."""
