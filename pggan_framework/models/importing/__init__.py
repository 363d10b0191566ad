"""Weights from elsewhere become checkpoints of ours: the original PGGAN's, deepsound's and the GAN zoo's.

No code of a file runs: its pickle is read as data (`pickles`), and what it names is never looked up.
"""
