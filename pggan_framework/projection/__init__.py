"""Projection: find the latent of a given image or sound by random search, then by gradient descent.

Abdal et al. 2019 (Image2StyleGAN, arXiv 1904.03189) and Karras et al. 2020 (StyleGAN2, arXiv 1912.04958, appendix D)
search the space of style vectors; most generators here have none, so the latent itself is optimized.
"""
