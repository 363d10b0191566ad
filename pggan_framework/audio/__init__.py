"""Codecs: waves into pictures and back."""
