"""Import weights of other systems as checkpoints: the original PGGAN, deepsound's trainer and the GAN zoo.

No code from a file is executed: its pickle is parsed as data (`pickles`), and the names in it are never resolved.
"""
