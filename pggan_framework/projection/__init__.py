"""The latent of a given picture or sound: found by random search, then by gradient through the generator.

Abdal et al. 2019 (Image2StyleGAN, arXiv 1904.03189) and Karras et al. 2020 (StyleGAN2, arXiv 1912.04958, appendix D) do
it in the space of style vectors; the generators here have none, so that it is the latent itself that is looked for.
"""
