"""Generators and discriminators that grow."""
